//! Numbers of few bytes: seven bits to a byte, the lowest first, the top bit set while more follow (LEB128).
//!
//! Used by the log and by the series index; both formats are frozen, and so is this.

use crate::Error;

/// Appends `value`.
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number off the front. Errors: `Corrupt` when the bytes end first, or it does not fit 64 bits.
pub fn take(rest: &mut &[u8]) -> Result<u64, Error> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest
            .split_first()
            .ok_or_else(|| Error::corrupt("the bytes end in the middle"))?;
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            break;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Error::corrupt("a number is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip_and_nothing_else_is_one() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            bytes.push(9);
            let mut rest = bytes.as_slice();
            assert_eq!(take(&mut rest).ok(), Some(value));
            assert_eq!(rest, [9]);
        }
        assert!(take(&mut [0x80].as_slice()).is_err());
        assert!(take(&mut [0xff; 11].as_slice()).is_err());
        let mut beyond = [0x80; 10];
        beyond[9] = 2;
        assert!(take(&mut beyond.as_slice()).is_err());
    }
}
