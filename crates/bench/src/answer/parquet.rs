//! How many rows a Parquet file has, from its footer. Its values are not read, so there is no checksum.
//!
//! The footer is one structure of Thrift's compact protocol; `num_rows` is its third field, behind the version and the schema.

use crate::Error;

const MAGIC: &[u8] = b"PAR1";
const ROWS_FIELD: i16 = 3;
/// Structures within structures that a schema may have; deeper ones are damage.
const DEPTH_MAX: usize = 16;

pub(super) fn rows(file: &[u8]) -> Result<usize, Error> {
    let footer = footer(file).ok_or("the answer is no Parquet file")?;
    let rows = Thrift(footer).rows();
    rows.and_then(|rows| usize::try_from(rows).ok())
        .ok_or_else(|| "the footer of the answer's Parquet file is damaged".into())
}

fn footer(file: &[u8]) -> Option<&[u8]> {
    let rest = file.strip_prefix(MAGIC)?.strip_suffix(MAGIC)?;
    let (rest, length) = rest.split_last_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    rest.get(rest.len().checked_sub(length)?..)
}

/// What of the protocol is not read yet.
struct Thrift<'a>(&'a [u8]);

impl Thrift<'_> {
    fn rows(&mut self) -> Option<i64> {
        let mut field = 0;
        loop {
            let kind = self.field(&mut field)?;
            if kind == 0 {
                return None;
            }
            if field == ROWS_FIELD {
                let zigzag = self.varint()?;
                return Some((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
            }
            self.skip(kind, 0)?;
        }
    }

    /// Type of the next field, whose number goes into `field`; 0 at the end of the structure.
    fn field(&mut self, field: &mut i16) -> Option<u8> {
        let head = self.byte()?;
        let (step, kind) = (head >> 4, head & 15);
        if kind == 0 {
            return Some(0);
        }
        *field = match step {
            0 => {
                let zigzag = self.varint()?;
                i16::try_from((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)).ok()?
            }
            step => field.checked_add(i16::from(step))?,
        };
        Some(kind)
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        match kind {
            // Booleans are in the type.
            1 | 2 => Some(()),
            3 => self.bytes(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.bytes(8),
            8 => {
                let length = self.varint()?;
                self.bytes(usize::try_from(length).ok()?)
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = match head >> 4 {
                    15 => self.varint()?,
                    count => u64::from(count),
                };
                for _ in 0..count {
                    match head & 15 {
                        1 | 2 => self.bytes(1)?,
                        kind => self.skip(kind, depth + 1)?,
                    }
                }
                Some(())
            }
            12 => {
                let mut field = 0;
                loop {
                    match self.field(&mut field)? {
                        0 => return Some(()),
                        kind => self.skip(kind, depth + 1)?,
                    }
                }
            }
            _ => None,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn bytes(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.get(count..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Some(value);
            }
        }
        None
    }
}
