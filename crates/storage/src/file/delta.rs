//! DELTA_BINARY_PACKED, laid out so that zstd can do its part.
//!
//! Parquet leaves a writer free to pack the differences of a block wider than they need and relative to less than their least.
//! Packed as narrowly as possible they straddle bytes, and an entropy coder behind finds no symbols left; packed in widths that
//! share bytes evenly, relative to one base for the whole page, small differences become symbols it codes by their frequency.
//! Which of both is smaller depends on the values. Not here: pages and levels ([`super::integers`]).

use crate::varint;

/// Values of a block and its parts; Parquet wants multiples of 128 and 32. A part has one width.
const BLOCK_VALUES: usize = 256;
const PART_VALUES: usize = 64;
const PARTS: usize = BLOCK_VALUES / PART_VALUES;

/// How wide differences are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Widths {
    /// As narrow as they are.
    Least,
    /// So that a byte holds a whole number of them or they a whole number of bytes.
    Whole,
}

/// Appends `values` encoded.
pub fn encode(values: &[i64], widths: Widths, out: &mut Vec<u8>) {
    varint::put(out, BLOCK_VALUES as u64);
    varint::put(out, PARTS as u64);
    varint::put(out, values.len() as u64);
    let Some(first) = values.first() else {
        varint::put(out, 0);
        return;
    };
    varint::put(out, zigzag(*first));
    let differences: Vec<i64> = values
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect();
    let common = match widths {
        Widths::Least => i64::MAX,
        Widths::Whole => common_base(&differences),
    };
    for block in differences.chunks(BLOCK_VALUES) {
        let least = block.iter().copied().min().unwrap_or(0);
        let base = least.min(common);
        varint::put(out, zigzag(base));
        let at = out.len();
        out.extend([0; PARTS]);
        for (number, part) in block.chunks(PART_VALUES).enumerate() {
            let largest = part
                .iter()
                .map(|difference| difference.wrapping_sub(base) as u64)
                .max()
                .unwrap_or(0);
            let needed = u64::BITS - largest.leading_zeros();
            let width = match widths {
                Widths::Least => needed,
                Widths::Whole => whole_width(needed),
            };
            out[at + number] = width as u8;
            pack(part, base, width, out);
        }
    }
}

/// A base that most blocks can share: differences then have the same symbols throughout the page.
fn common_base(differences: &[i64]) -> i64 {
    let mut least: Vec<i64> = differences
        .chunks(BLOCK_VALUES)
        .filter_map(|block| block.iter().copied().min())
        .collect();
    if least.is_empty() {
        return i64::MAX;
    }
    // The lowest but few: a jump, as where a series ends, shall not widen all other blocks.
    let at = least.len() / 20;
    *least.select_nth_unstable(at).1
}

fn whole_width(needed: u32) -> u32 {
    match needed {
        0..=2 => needed,
        3..=4 => 4,
        _ => needed.next_multiple_of(8),
    }
}

/// Packs a part, lowest bits first, filled up with zeros to [`PART_VALUES`].
fn pack(part: &[i64], base: i64, width: u32, out: &mut Vec<u8>) {
    let end = out.len() + PART_VALUES * width as usize / 8;
    match width {
        0 => {}
        1 => pack_words::<1>(part, base, out),
        2 => pack_words::<2>(part, base, out),
        4 => pack_words::<4>(part, base, out),
        8 => pack_words::<8>(part, base, out),
        16 => pack_words::<16>(part, base, out),
        32 => pack_words::<32>(part, base, out),
        _ => pack_any(part, base, width, out),
    }
    out.resize(end, 0);
}

/// Of a width that divides words, which then have a number of steps that is known beforehand.
fn pack_words<const WIDTH: usize>(part: &[i64], base: i64, out: &mut Vec<u8>) {
    let word = |values: &[i64]| {
        let shifted = values
            .iter()
            .enumerate()
            .map(|(at, difference)| (difference.wrapping_sub(base) as u64) << (at * WIDTH));
        shifted.fold(0, |word, bits| word | bits).to_le_bytes()
    };
    let words = part.chunks_exact(64 / WIDTH);
    let rest = words.remainder();
    words.for_each(|values| out.extend(word(values)));
    if !rest.is_empty() {
        out.extend(word(rest));
    }
}

fn pack_any(part: &[i64], base: i64, width: u32, out: &mut Vec<u8>) {
    let mut pending = 0u128;
    let mut bits = 0;
    for difference in part {
        pending |= u128::from(difference.wrapping_sub(base) as u64) << bits;
        bits += width;
        if bits >= 64 {
            out.extend((pending as u64).to_le_bytes());
            pending >>= 64;
            bits -= 64;
        }
    }
    out.extend(&pending.to_le_bytes()[..bits.div_ceil(8) as usize]);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Parquet says a reader does.
    fn decode(mut rest: &[u8]) -> Vec<i64> {
        let number = |rest: &mut &[u8]| varint::take(rest).expect("a number");
        let unzigzag = |value: u64| (value >> 1) as i64 ^ -((value & 1) as i64);
        let block_values = number(&mut rest) as usize;
        let parts = number(&mut rest) as usize;
        let total = number(&mut rest) as usize;
        let mut values = vec![unzigzag(number(&mut rest))];
        if total == 0 {
            assert!(rest.is_empty());
            return Vec::new();
        }
        while values.len() < total {
            let base = unzigzag(number(&mut rest));
            let (widths, after) = rest.split_at(parts);
            rest = after;
            for width in widths {
                if values.len() == total {
                    assert_eq!(*width, 0, "a part without values");
                    continue;
                }
                let (packed, after) = rest.split_at(block_values / parts * *width as usize / 8);
                rest = after;
                for place in 0..block_values / parts {
                    if values.len() == total {
                        break;
                    }
                    let bits = place * *width as usize..(place + 1) * *width as usize;
                    let difference = bits.rev().fold(0u64, |value, bit| {
                        value << 1 | u64::from(packed[bit / 8] >> (bit % 8) & 1)
                    });
                    let last = values[values.len() - 1];
                    values.push(last.wrapping_add(base).wrapping_add(difference as i64));
                }
            }
        }
        assert!(rest.is_empty(), "bytes left over");
        values
    }

    #[test]
    fn values_round_trip_in_both_widths() {
        let mut state = 1u64;
        let mut noise = |bits: u32| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> (64 - bits)) as i64
        };
        let mut cases = vec![
            Vec::new(),
            vec![7],
            vec![i64::MAX, i64::MIN, 0, i64::MIN, i64::MAX, -1],
            vec![5; 1000],
            (0..300).map(|row| row * 10_000_000_000).collect(),
        ];
        for bits in [1, 2, 3, 4, 5, 8, 9, 20, 33, 47, 62] {
            for length in [2, 64, 65, 66, 257, 258, 3000] {
                cases.push((0..length).map(|_| noise(bits)).collect());
            }
        }
        // Long calm stretches with jumps between them.
        cases.push((0..5000).map(|row| row / 700 * 90 + noise(2)).collect());
        for values in cases {
            for widths in [Widths::Least, Widths::Whole] {
                let mut out = Vec::new();
                encode(&values, widths, &mut out);
                assert_eq!(decode(&out), values, "{widths:?}");
            }
        }
    }
}
