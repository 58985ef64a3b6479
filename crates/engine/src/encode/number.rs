//! Write a feature's value as a JSON number, without branching on its size.
//!
//! cell -> **number** (reals: `real`) -> line
//!
//! Writing 22 numbers a line by digit loops costs most in mispredicted branches: lengths follow no pattern. So
//! the digits of a number of usual size are made side by side in one word, and leading zeros, point and the
//! comma behind are shifted into place. Numbers of unusual size take the slow way.
//!
//! Holds: both ways give the same text; it reads back to the value; a missing value is `null`.

use super::real::real;
use crate::features::cell::{Cell, Shape};

/// Longest text with its comma: 19 digits, sign, leading zero, point, comma.
pub(super) const TEXT_MAX: usize = 24;

/// Most decimal digits of a decimal. A window's columns have at most 6; the text of 18 still fits.
pub(super) const DIGITS_MAX: u32 = 18;

/// A number's text and the comma behind it.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(super) struct Text {
    /// The text, the comma, and bytes without meaning.
    pub(super) bytes: [u8; TEXT_MAX],
    /// Length with the comma.
    pub(super) len: u32,
}

impl Text {
    pub(super) const EMPTY: Self = Self { bytes: [0; TEXT_MAX], len: 0 };
    const NULL: Self = Self::short(u128::from_le_bytes(*b"null,\0\0\0\0\0\0\0\0\0\0\0"), 5);

    /// At most 16 bytes, the first in the lowest byte.
    pub(super) const fn short(word: u128, len: u32) -> Self {
        let word = word.to_le_bytes();
        let mut bytes = [0; TEXT_MAX];
        let mut at = 0;
        while at < 16 {
            bytes[at] = word[at];
            at += 1;
        }
        Self { bytes, len }
    }

    /// From a text of less than [`TEXT_MAX`] bytes without the comma.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut bytes = [0; TEXT_MAX];
        bytes[..text.len()].copy_from_slice(text);
        bytes[text.len()] = b',';
        Self { bytes, len: text.len() as u32 + 1 }
    }

    /// Without the comma.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len as usize - 1]
    }
}

/// The text of a cell.
pub(super) fn cell(cell: Cell, shape: Shape) -> Text {
    match shape {
        Shape::Integer => integer(cell.0),
        Shape::Decimal { digits } => decimal(cell.0, digits),
        Shape::Real => real(cell.as_real()),
    }
}

/// A whole number, or `null` for [`Cell::MISSING`].
#[inline]
pub(super) fn integer(value: i64) -> Text {
    if value as u64 >= 100_000_000 {
        return long(value, 0);
    }
    let digits = eight_digits(value as u32);
    let leading = (digits.trailing_zeros() / 8).min(7);
    let text = u128::from((digits | ASCII_8) >> (8 * leading)) | u128::from(b',') << 64 >> (8 * leading);
    Text::short(text, 9 - leading)
}

/// A number with exactly `digits` decimal digits, or `null` for [`Cell::MISSING`].
#[inline]
pub(super) fn decimal(value: i64, digits: u32) -> Text {
    // 14 digits, point and comma fill 16 bytes.
    if value as u64 >= 100_000_000_000_000 || !matches!(digits, 1..=13) {
        return long(value, digits);
    }
    let (high, low) = (value as u64 / 100_000_000, value as u64 % 100_000_000);
    let all = u128::from(eight_digits(high as u32)) | u128::from(eight_digits(low as u32)) << 64;
    let leading = (all.trailing_zeros() / 8).min(15 - digits);
    let text = (all | ASCII_16) >> (8 * leading);
    let len = 16 - leading;
    let text = with_point(text, len - digits);
    Text::short(text | u128::from(b',') << (8 * (len + 1)), len + 2)
}

/// Shifts a point in behind the first `whole` bytes; the last byte falls out.
pub(super) fn with_point(text: u128, whole: u32) -> u128 {
    let mask = (1 << (8 * whole)) - 1;
    (text & mask) | u128::from(b'.') << (8 * whole) | (text & !mask) << 8
}

pub(super) const ASCII_8: u64 = 0x3030_3030_3030_3030;
pub(super) const ASCII_16: u128 = 0x3030_3030_3030_3030_3030_3030_3030_3030;

/// The eight decimal digits of a number below 10^8, one a byte, the first in the lowest byte: halves, then
/// pairs, then digits, all at once by multiplication.
#[inline]
pub(super) fn eight_digits(value: u32) -> u64 {
    let halves = u64::from(value / 10_000) | u64::from(value % 10_000) << 32;
    // Exact: floor(x / 100) for x < 10^4, and floor(x / 10) for x < 100.
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | (halves - 100 * hundreds) << 16;
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (pairs - 10 * tens) << 8
}

/// Any size and sign.
#[cold]
#[inline(never)]
fn long(value: i64, digits: u32) -> Text {
    if Cell(value) == Cell::MISSING {
        return Text::NULL;
    }
    assert!(digits <= DIGITS_MAX, "a decimal has at most {DIGITS_MAX} digits");
    let mut buffer = itoa::Buffer::new();
    let plain = buffer.format(value.unsigned_abs()).as_bytes();
    let (mut text, mut len) = ([0; TEXT_MAX], 0);
    let mut push = |bytes: &[u8]| {
        text[len..len + bytes.len()].copy_from_slice(bytes);
        len += bytes.len();
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
    Text::of(&text[..len])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: i64, shape: Shape) -> String {
        let text = cell(Cell(value), shape);
        assert_eq!(text.bytes[text.len as usize - 1], b',');
        String::from_utf8(text.as_bytes().to_vec()).expect("ASCII")
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
