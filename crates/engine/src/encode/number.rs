//! Write a feature's value as a JSON number, with few branches on its size.
//!
//! cell -> **number** (reals: `real`) -> features, line, reason
//!
//! Writing numbers by digit loops costs most in mispredicted branches: lengths follow no pattern. Whole numbers
//! below 1,000 (counts, and what stands before the point of most amounts) are looked up as a word of text. Of
//! others all digits that a number of usual size could have are made side by side in a word and the zeros in front
//! are shifted out. Either way the whole word is stored; what comes next overwrites its rest. Numbers of unusual
//! size take the slow way.
//!
//! Holds: all ways give the same text; it reads back to the value; a missing value is `null`. Each text has a
//! comma behind it, and a writer needs [`TEXT_ROOM`] bytes at its place.

#![expect(
    clippy::inline_always,
    reason = "called for each cell or run; a call costs as much as the work: measured"
)]

use super::real::put_real;
use crate::features::cell::{Cell, Shape};

/// Longest text with its comma: 19 digits, sign, leading zero, point, comma.
pub(super) const TEXT_MAX: usize = 24;

/// Bytes that must be there behind the place of a text; some of them are overwritten without meaning.
pub(super) const TEXT_ROOM: usize = 32;

/// Most decimal digits of a decimal. A window's columns have at most 6; the text of 18 still fits.
pub(super) const DIGITS_MAX: u32 = 18;

/// One number's text.
#[derive(Debug)]
pub(super) struct Text {
    bytes: [u8; TEXT_ROOM],
    len: usize,
}

impl Text {
    pub(super) fn of(cell: Cell, shape: Shape) -> Self {
        let mut bytes = [0; TEXT_ROOM];
        let end = put(cell, shape, &mut bytes, 0);
        Self { bytes, len: end - 1 }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The text of each number below 1,000, the first character in the lowest byte, and in the highest its length.
pub(super) const SMALL: [u32; 1_000] = {
    let mut texts = [0; 1_000];
    let mut value = 0;
    while value < texts.len() {
        let (hundreds, tens, ones) = (value as u32 / 100, value as u32 / 10 % 10, value as u32 % 10);
        let len = if hundreds > 0 { 3 } else { 1 + (tens > 0) as u32 };
        let text = (0x0030_3030 | hundreds | tens << 8 | ones << 16) >> (8 * (3 - len));
        texts[value] = text | len << 24;
        value += 1;
    }
    texts
};

/// A point, two digits and a comma.
const HUNDREDTHS: [[u8; 4]; 100] = {
    let mut texts = [*b".00,"; 100];
    let mut value = 0;
    while value < texts.len() {
        texts[value][1] += value as u8 / 10;
        texts[value][2] += value as u8 % 10;
        value += 1;
    }
    texts
};

/// Writes the text of a cell and a comma at `at`; where the next one begins.
#[inline(always)]
pub(super) fn put(cell: Cell, shape: Shape, to: &mut [u8], at: usize) -> usize {
    match shape {
        Shape::Integer | Shape::Decimal { digits: 0 } => put_integer(cell.0, to, at),
        Shape::Decimal { digits } => put_decimal(cell.0, digits, to, at),
        Shape::Real => put_real(cell.as_real(), to, at),
    }
}

/// The bytes that a text, or the rest of one from its point on, may use: all bounds of them in one check.
#[inline(always)]
pub(super) fn room(to: &mut [u8], at: usize) -> &mut [u8; TEXT_ROOM - 12] {
    to[at..].first_chunk_mut().expect("a writer has room for a text")
}

/// Lays a text of [`SMALL`] at `at`; its length.
#[inline(always)]
pub(super) fn lay_small(text: u32, to: &mut [u8; TEXT_ROOM - 12], at: usize) -> usize {
    to[at..at + 4].copy_from_slice(&text.to_le_bytes());
    // Two bits are enough; said so, for the bounds.
    (text >> 24 & 3) as usize
}

/// A whole number, or `null` for [`Cell::MISSING`].
#[inline(always)]
pub(super) fn put_integer(value: i64, to: &mut [u8], at: usize) -> usize {
    let Some(&text) = SMALL.get(value as usize) else { return put_large_integer(value, to, at) };
    let to = room(to, at);
    let len = lay_small(text, to, 0);
    to[len] = b',';
    at + len + 1
}

/// As [`put_integer`], up to 10^8.
#[inline(never)]
fn put_large_integer(value: i64, to: &mut [u8], at: usize) -> usize {
    if value as u64 >= 100_000_000 {
        return put_long(value, 0, to, at);
    }
    let digits = eight_digits(value as u32);
    let leading = (digits.trailing_zeros() / 8).min(7);
    put_word((digits | ASCII_8) >> (8 * leading), 8 - leading, to, at)
}

/// A number with exactly `digits` decimal digits, 1 or more, or `null` for [`Cell::MISSING`].
#[inline(always)]
fn put_decimal(value: i64, digits: u32, to: &mut [u8], at: usize) -> usize {
    if value as u64 >= 100_000 || digits != 2 {
        return match digits {
            2 if (value as u64) < 100_000_000 => put_thousands(value as u32, to, at),
            _ => put_any_decimal(value, digits, to, at),
        };
    }
    let (whole, hundredths) = (SMALL[value as usize / 100], HUNDREDTHS[value as usize % 100]);
    let to = room(to, at);
    let len = lay_small(whole, to, 0);
    to[len..len + 4].copy_from_slice(&hundredths);
    at + len + 4
}

/// Hundredths of 1,000.00 to below 1,000,000.00: thousands, units and hundredths are looked up.
#[inline(never)]
fn put_thousands(value: u32, to: &mut [u8], at: usize) -> usize {
    let (whole, hundredths) = (value / 100, HUNDREDTHS[value as usize % 100]);
    let (thousands, units) = (SMALL[whole as usize / 1_000 % 1_000], SMALL[whole as usize % 1_000]);
    // Zeros in front; the digits are ones with more bits.
    let units = (units & 0x00ff_ffff) << (24 - 8 * (units >> 24 & 3)) | 0x0030_3030;
    let to = room(to, at);
    let len = lay_small(thousands, to, 0);
    to[len..len + 4].copy_from_slice(&units.to_le_bytes());
    to[len + 3..len + 7].copy_from_slice(&hundredths);
    at + len + 7
}

/// As [`put_decimal`]; quick up to 10^7.
#[inline(never)]
fn put_any_decimal(value: i64, digits: u32, to: &mut [u8], at: usize) -> usize {
    if value as u64 >= 10_000_000 || !matches!(digits, 1..=6) {
        return put_large_decimal(value, digits, to, at);
    }
    // Seven digits behind a zero, which makes room for the point.
    let all = eight_digits(value as u32);
    let leading = (all.trailing_zeros() / 8).min(7 - digits) - 1;
    let all = all | ASCII_8;
    // The digits before the point.
    let whole = u64::MAX >> (8 * digits);
    let point = u64::from(b'.') << 56 >> (8 * digits);
    let text = (all & whole) >> 8 | point | (all & !whole);
    put_word(text >> (8 * leading), 8 - leading, to, at)
}

/// A word of text and the comma.
#[inline]
fn put_word(text: u64, len: u32, to: &mut [u8], at: usize) -> usize {
    let to = room(to, at);
    to[..8].copy_from_slice(&text.to_le_bytes());
    to[len as usize] = b',';
    at + len as usize + 1
}

/// As [`put_decimal`], up to 10^15.
#[inline(never)]
fn put_large_decimal(value: i64, digits: u32, to: &mut [u8], at: usize) -> usize {
    if value as u64 >= 1_000_000_000_000_000 || !matches!(digits, 1..=14) {
        return put_long(value, digits, to, at);
    }
    // Sixteen digits, the first a zero, into whose place those before the point move.
    let (high, low) = (value as u64 / 100_000_000, value as u64 % 100_000_000);
    let all = u128::from(eight_digits(high as u32)) | u128::from(eight_digits(low as u32)) << 64;
    // One digit before the point stays.
    let leading = (all.trailing_zeros() / 8).min(15 - digits);
    let all = all | ASCII_16;
    let whole = u128::MAX >> (8 * digits);
    let point = u128::from(b'.') << 120 >> (8 * digits);
    let text = (all & whole) >> 8 | point | (all & !whole);
    let (to, len) = (room(to, at), 17 - leading as usize);
    to[..16].copy_from_slice(&(text >> (8 * (leading - 1))).to_le_bytes());
    to[len] = b',';
    at + len + 1
}

/// A short text made elsewhere, and the comma.
pub(super) fn put_bytes(text: &[u8], to: &mut [u8], at: usize) -> usize {
    to[at..at + text.len()].copy_from_slice(text);
    to[at + text.len()] = b',';
    at + text.len() + 1
}

pub(super) const ASCII_8: u64 = 0x3030_3030_3030_3030;
pub(super) const ASCII_16: u128 = 0x3030_3030_3030_3030_3030_3030_3030_3030;

/// The eight decimal digits of a number below 10^8, one a byte, the first in the lowest byte: halves, then
/// pairs, then digits, all at once by multiplication.
#[inline]
pub(super) fn eight_digits(value: u32) -> u64 {
    // Exact: floor(x / 100) for x < 10^4, and floor(x / 10) for x < 100. Each step moves x up and takes away its
    // quotient there, in one product: x << s with q * (divisor << s - 1) less.
    let value = u64::from(value);
    let thousands = value / 10_000;
    let halves = (value << 32) - thousands * ((10_000 << 32) - 1);
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = (halves << 16) - hundreds * ((100 << 16) - 1);
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    (pairs << 8) - tens * ((10 << 8) - 1)
}

/// Any size and sign.
#[cold]
#[inline(never)]
fn put_long(value: i64, digits: u32, to: &mut [u8], at: usize) -> usize {
    if Cell(value) == Cell::MISSING {
        return put_bytes(b"null", to, at);
    }
    assert!(digits <= DIGITS_MAX, "a decimal has at most {DIGITS_MAX} digits");
    let mut buffer = itoa::Buffer::new();
    let plain = buffer.format(value.unsigned_abs()).as_bytes();
    let mut end = at;
    let mut push = |bytes: &[u8]| {
        to[end..end + bytes.len()].copy_from_slice(bytes);
        end += bytes.len();
    };
    if value < 0 {
        push(b"-");
    }
    let digits = digits as usize;
    if digits == 0 {
        push(plain);
    } else if plain.len() > digits {
        let (whole, fraction) = plain.split_at(plain.len() - digits);
        push(whole);
        push(b".");
        push(fraction);
    } else {
        push(b"0.");
        push(&b"000000000000000000"[..digits - plain.len()]);
        push(plain);
    }
    push(b",");
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: i64, shape: Shape) -> String {
        let mut out = [b'x'; 2 + TEXT_ROOM];
        let end = put(Cell(value), shape, &mut out, 2);
        assert_eq!((&out[..2], out[end - 1]), (&b"xx"[..], b','));
        assert!(end - 2 <= TEXT_MAX);
        String::from_utf8(out[2..end - 1].to_vec()).expect("ASCII")
    }

    /// The slow twin: text as people would cut it.
    fn by_hand(value: i64, digits: usize) -> String {
        let sign = if value < 0 { "-" } else { "" };
        let plain = format!("{:0width$}", value.unsigned_abs(), width = digits + 1);
        let (whole, fraction) = plain.split_at(plain.len() - digits);
        format!("{sign}{whole}{}{fraction}", if digits == 0 { "" } else { "." })
    }

    #[test]
    fn the_digits_of_the_shape_are_always_there() {
        let two = Shape::Decimal { digits: 2 };
        assert_eq!(text(0, Shape::Integer), "0");
        assert_eq!(text(0, two), "0.00");
        assert_eq!(text(99_999, two), "999.99");
        assert_eq!(text(100_000, two), "1000.00");
        assert_eq!(text(7, two), "0.07");
        assert_eq!(text(300, two), "3.00");
        assert_eq!(text(1234, two), "12.34");
        assert_eq!(text(-5, two), "-0.05");
        assert_eq!(text(1234, Shape::Decimal { digits: 0 }), "1234");
        assert_eq!(text(i64::MIN, two), "null");
        assert_eq!(text(i64::MIN, Shape::Integer), "null");
        assert_eq!(text(i64::MAX, Shape::Decimal { digits: 18 }), "9.223372036854775807");
        assert_eq!(text(-i64::MAX, Shape::Decimal { digits: 4 }), "-922337203685477.5807");
    }

    #[test]
    fn every_length_and_its_neighbours() {
        for power in 0..19 {
            let power = 10i64.pow(power);
            for value in [power - 1, power, power + 1, -power] {
                assert_eq!(text(value, Shape::Integer), value.to_string());
                for digits in 0..=DIGITS_MAX {
                    assert_eq!(text(value, Shape::Decimal { digits }), by_hand(value, digits as usize));
                }
            }
        }
    }

    #[test]
    fn every_number_below_two_hundred_thousand_and_some_to_a_hundred_million() {
        for value in 0..200_000 {
            assert_eq!(text(value, Shape::Integer), value.to_string());
            assert_eq!(text(value, Shape::Decimal { digits: 2 }), by_hand(value, 2));
        }
        for value in (200_000..101_000_000).step_by(331) {
            assert_eq!(text(value, Shape::Decimal { digits: 2 }), by_hand(value, 2));
        }
    }

    #[test]
    fn eight_digits_are_those_of_the_number() {
        for value in (0..100_000_000).step_by(97).chain(99_999_000..100_000_000).chain(0..100_000) {
            let wanted = format!("{value:08}");
            assert_eq!((eight_digits(value) | ASCII_8).to_le_bytes(), *wanted.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn any_value_is_written_as_by_hand(value: i64, shift in 0u32..63, digits in 0u32..=DIGITS_MAX) {
            let value = (value >> shift).max(-i64::MAX);
            prop_assert_eq!(text(value, Shape::Decimal { digits }), by_hand(value, digits as usize));
            prop_assert_eq!(text(value, Shape::Integer), value.to_string());
        }
    }
}
