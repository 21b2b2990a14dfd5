//! Where line protocol comes from: an argument, the standard input, files one after the other; compressed ones are unpacked on the way.
//!
//! Compression is told by a file's first bytes, not by its name. Memory is bounded: a little is read, unpacked and handed on. Not here: where
//! requests are cut (`pieces`).

use std::io::{Cursor, IsTerminal, Write};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use flate2::write::MultiGzDecoder;
use tokio::io::{AsyncRead, AsyncReadExt};
use zstd::stream::raw::{Decoder as ZstdDecoder, Operation};

/// Input gathered before it is cut into requests.
pub(crate) const READ_BYTES: usize = 4 << 20;

/// Compressed bytes unpacked at once: at the highest possible ratio, about a thousand, they become some megabytes.
const COMPRESSED_BYTES: usize = 16 << 10;

/// What is unpacked of a Zstandard stream at once.
const UNPACKED_BYTES: usize = 128 << 10;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The name of the standard input among files.
const STDIN_NAME: &str = "-";

/// One place that lines come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Argument(String),
    Stdin,
    File(PathBuf),
}

impl Source {
    /// As messages name it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Argument(_) => "the argument".to_string(),
            Self::Stdin => "the standard input".to_string(),
            Self::File(path) => path.display().to_string(),
        }
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Argument(_) | Self::Stdin => None,
        }
    }

    /// How much there is to read, where that is known beforehand.
    pub(crate) fn size_bytes(&self) -> Option<u64> {
        match self {
            Self::Argument(text) => Some(text.len() as u64),
            Self::Stdin => None,
            Self::File(path) => {
                let told = std::fs::metadata(path).ok()?;
                told.is_file().then_some(told.len())
            }
        }
    }
}

/// The sources that a command line names: the argument, else the files, else the standard input (spec/cli.md §7.5).
pub(crate) fn sources(words: Option<&[String]>, files: &[PathBuf]) -> anyhow::Result<Vec<Source>> {
    match words {
        Some([text]) if !text.is_empty() => return Ok(vec![Source::Argument(text.clone())]),
        Some([] | [_]) => anyhow::bail!("no line protocol string provided"),
        Some(_) => anyhow::bail!(
            "ensure that a single protocol line string is provided as the final argument, enclosed in quotes"
        ),
        None => {}
    }
    if files.is_empty() {
        if std::io::stdin().is_terminal() {
            anyhow::bail!(
                "No input from stdin detected, no string was passed in, and no file path was given"
            );
        }
        return Ok(vec![Source::Stdin]);
    }
    let mut found = Vec::new();
    for file in files {
        found.extend(matching(file)?);
    }
    for (index, source) in found.iter().enumerate() {
        if found[..index].contains(source) {
            anyhow::bail!("{} is named twice", source.name());
        }
    }
    for source in &found {
        // Nothing is written when a later file cannot be read.
        if let Some(path) = source.path() {
            std::fs::metadata(path).map_err(|cause| read_fault(source, found.len(), &cause))?;
        }
    }
    Ok(found)
}

/// What a `--file` means: the standard input, a file, or those that a pattern matches, in the order of their names.
fn matching(file: &Path) -> anyhow::Result<Vec<Source>> {
    let text = file.to_string_lossy();
    if text == STDIN_NAME {
        return Ok(vec![Source::Stdin]);
    }
    if !text.contains(['*', '?', '[']) || file.exists() {
        return Ok(vec![Source::File(file.to_path_buf())]);
    }
    let pattern = glob::glob(&text)
        .map_err(|cause| anyhow::anyhow!("error reading file: the pattern {text:?}: {cause}"))?;
    let mut found = Vec::new();
    for path in pattern {
        let path = path.map_err(|cause| anyhow::anyhow!("error reading file: {cause}"))?;
        if path.is_file() {
            found.push(Source::File(path));
        }
    }
    if found.is_empty() {
        anyhow::bail!("error reading file: no file matches {text:?}");
    }
    Ok(found)
}

/// A single file needs no name in its message; scripts know the text without.
pub(crate) fn read_fault(
    source: &Source,
    sources_count: usize,
    cause: &std::io::Error,
) -> anyhow::Error {
    match sources_count {
        0 | 1 => anyhow::anyhow!("error reading file: {cause}"),
        _ => anyhow::anyhow!("error reading file: {}: {cause}", source.name()),
    }
}

/// What the first bytes say of the rest.
enum Coding {
    /// Too little was read to tell.
    Untold,
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zstd {
        decoder: ZstdDecoder<'static>,
        frame_ended: bool,
    },
}

/// A source being read.
pub(crate) struct Input {
    raw: Box<dyn AsyncRead + Unpin>,
    coding: Coding,
    /// Read and not yet handed on: what tells the coding, or a compressed part.
    waiting: BytesMut,
    raw_bytes: u64,
}

impl Input {
    pub(crate) fn open(source: &Source) -> std::io::Result<Self> {
        Ok(Self::new(match source {
            Source::Argument(text) => Box::new(Cursor::new(Bytes::from(text.clone()))),
            Source::Stdin => Box::new(tokio::io::stdin()),
            Source::File(path) => {
                let mut file = tokio::fs::File::from_std(std::fs::File::open(path)?);
                file.set_max_buf_size(READ_BYTES);
                Box::new(file)
            }
        }))
    }

    pub(crate) fn new(raw: Box<dyn AsyncRead + Unpin>) -> Self {
        Self {
            raw,
            coding: Coding::Untold,
            waiting: BytesMut::new(),
            raw_bytes: 0,
        }
    }

    /// How much was read so far, before unpacking.
    pub(crate) fn raw_bytes(&self) -> u64 {
        self.raw_bytes
    }

    pub(crate) fn is_compressed(&self) -> bool {
        matches!(self.coding, Coding::Gzip(_) | Coding::Zstd { .. })
    }

    /// Appends some more of the text; false at its end. May be dropped while it waits: nothing is lost.
    pub(crate) async fn read(&mut self, text: &mut BytesMut) -> std::io::Result<bool> {
        if matches!(self.coding, Coding::Plain) {
            text.reserve(READ_BYTES);
            let read = self.raw.read_buf(text).await?;
            self.raw_bytes += read as u64;
            return Ok(read > 0);
        }
        self.waiting.reserve(COMPRESSED_BYTES);
        let read = self.raw.read_buf(&mut self.waiting).await?;
        self.raw_bytes += read as u64;
        let has_ended = read == 0;
        if matches!(self.coding, Coding::Untold) {
            if self.waiting.len() < ZSTD_MAGIC.len() && !has_ended {
                return Ok(true);
            }
            self.coding = coding_of(&self.waiting)?;
        }
        match &mut self.coding {
            Coding::Untold | Coding::Plain => {
                text.extend_from_slice(&self.waiting);
            }
            Coding::Gzip(decoder) => {
                decoder.write_all(&self.waiting).map_err(damaged)?;
                decoder.flush().map_err(damaged)?;
                if has_ended {
                    decoder.try_finish().map_err(damaged)?;
                }
                text.extend_from_slice(decoder.get_ref());
                decoder.get_mut().clear();
            }
            Coding::Zstd {
                decoder,
                frame_ended,
            } => {
                unpack(decoder, &self.waiting, frame_ended, text).map_err(damaged)?;
                if has_ended && !*frame_ended {
                    return Err(damaged("the last frame breaks off"));
                }
            }
        }
        self.waiting.clear();
        Ok(!has_ended)
    }
}

fn coding_of(head: &[u8]) -> std::io::Result<Coding> {
    Ok(if head.starts_with(&GZIP_MAGIC) {
        Coding::Gzip(Box::new(MultiGzDecoder::new(Vec::new())))
    } else if head.starts_with(&ZSTD_MAGIC) {
        Coding::Zstd {
            decoder: ZstdDecoder::new()?,
            frame_ended: false,
        }
    } else {
        Coding::Plain
    })
}

fn unpack(
    decoder: &mut ZstdDecoder<'_>,
    mut packed: &[u8],
    frame_ended: &mut bool,
    text: &mut BytesMut,
) -> std::io::Result<()> {
    let mut room = vec![0; UNPACKED_BYTES];
    while !packed.is_empty() || !*frame_ended {
        let status = decoder.run_on_buffers(packed, &mut room)?;
        packed = &packed[status.bytes_read..];
        text.extend_from_slice(&room[..status.bytes_written]);
        *frame_ended = status.remaining == 0;
        if packed.is_empty() && status.bytes_written < room.len() {
            break;
        }
    }
    Ok(())
}

fn damaged(cause: impl std::fmt::Display) -> std::io::Error {
    std::io::Error::new(
        std::io::ErrorKind::InvalidData,
        format!("the compressed data break off or are damaged: {cause}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(packed: Vec<u8>) -> std::io::Result<String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let mut input = Input::new(Box::new(Cursor::new(packed)));
        let mut text = BytesMut::new();
        while runtime.block_on(input.read(&mut text))? {}
        Ok(String::from_utf8(text.to_vec()).expect("text"))
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).expect("to memory");
        encoder.finish().expect("to memory")
    }

    fn zstd(text: &str) -> Vec<u8> {
        zstd::encode_all(text.as_bytes(), 0).expect("to memory")
    }

    #[test]
    fn compression_is_told_by_the_first_bytes() {
        let long: String = (0..100_000).map(|n| format!("cpu a={n} {n}\n")).collect();
        for text in ["", "a", "abc", "cpu a=1 1\n", long.as_str()] {
            assert_eq!(read_all(text.as_bytes().to_vec()).expect("text"), text);
            assert_eq!(read_all(gzip(text)).expect("gzip"), text);
            assert_eq!(read_all(zstd(text)).expect("zstd"), text);
            // As `cat a.gz b.gz` makes them.
            let twice = format!("{text}{text}");
            assert_eq!(
                read_all([gzip(text), gzip(text)].concat()).expect("gzip"),
                twice
            );
            assert_eq!(
                read_all([zstd(text), zstd(text)].concat()).expect("zstd"),
                twice
            );
        }
    }

    #[test]
    fn what_breaks_off_or_lies_is_an_error() {
        let text: String = (0..1000).map(|n| format!("cpu a={n} {n}\n")).collect();
        for packed in [gzip(&text), zstd(&text)] {
            for length in [5, packed.len() / 2, packed.len() - 1] {
                let fault = read_all(packed[..length].to_vec()).expect_err("cut short");
                assert!(fault.to_string().contains("break off"), "{length}: {fault}");
            }
            let mut lying = packed.clone();
            let middle = lying.len() / 2;
            lying[middle] ^= 0xff;
            // Zstandard's frames need not have a checksum: what they then give is not the text.
            assert!(read_all(lying).map_or(true, |read| read != text));
        }
    }
}
