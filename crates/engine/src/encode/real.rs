//! Write an f32 as the shortest decimal that reads back to it, without branching on its digits.
//!
//! cell -> `number` -> **real** -> features, line, reason
//!
//! Schubfach (R. Giulietti, "The Schubfach way to render doubles", 2020) for the range that features live in,
//! 2^-13 to 2^23, where the powers of ten are exact integers of 64 bits and nothing is estimated. Zero rides
//! along; all else goes to zmij. Alone, in a loop, zmij is as fast; among other numbers of a line its branches
//! cost more than its work (477 against 410 ns a line of 90 features).
//!
//! Holds: the text is zmij's, byte for byte, for every f32 (the test `all_of_them` compares all 2^32).
//! A value that no JSON number can hold, an infinity, is `null`.

use super::number::{eight_digits, put_bytes, put_digits};
use std::hint::select_unpredictable;

/// Exponents of two of the unit of the last place, from and to (inclusive), of the fast range.
const UNIT_MIN: i32 = -36;
const UNIT_MAX: i32 = -1;

/// For a unit 2^q: 10^d * 2^(59+q) with the smallest d that brings 10^d * 2^q to 1 or above, and d: the decimal
/// digits that such a number can need.
const SCALES: [(u64, u32); (UNIT_MAX - UNIT_MIN + 1) as usize] = {
    let mut scales = [(0, 0); (UNIT_MAX - UNIT_MIN + 1) as usize];
    let mut at = 0;
    while at < scales.len() {
        let exponent = (59 + UNIT_MIN + at as i32) as u32;
        let (mut power, mut decimals) = (1u64, 0);
        while (power as u128) << exponent < 1 << 59 {
            power *= 10;
            decimals += 1;
        }
        scales[at] = (power << exponent, decimals);
        at += 1;
    }
    scales
};

/// Writes the text of a value (`null` for NaN and infinities) and a comma at `at`; where the next one begins.
#[inline]
pub(super) fn put_real(value: f32, to: &mut [u8], at: usize) -> usize {
    let bits = value.to_bits();
    let magnitude = bits & 0x7fff_ffff;
    // Zero is worked through as 1.0, with no digit set in the end.
    let zero = magnitude == 0;
    let magnitude = if zero { 1.0f32.to_bits() } else { magnitude };
    let unit = (magnitude >> 23) as i32 - 150;
    if !(UNIT_MIN..=UNIT_MAX).contains(&unit) {
        return put_far(value, to, at);
    }
    let (scale, decimals) = SCALES[(unit - UNIT_MIN) as usize];
    let digits = shortest(magnitude & 0x007f_ffff, scale) * u32::from(!zero);

    // Seven to nine digits, below 2 * 10^8, behind zeros to make sixteen.
    let high = u32::from(digits >= 100_000_000);
    let low = eight_digits(digits - high * 100_000_000);
    let all = u128::from(high) << 56 | u128::from(low) << 64;
    let leading = 8 - high + u32::from(digits < 10_000_000);
    // 0.12: one digit before the point. 0.0: so has zero, which has no digit.
    let most = 15 - decimals;
    let leading = select_unpredictable(zero || leading > most, most, leading);
    // 12.0: at least one digit behind the point.
    let trailing = low.leading_zeros() / 8;
    let trailing = select_unpredictable(trailing < decimals, trailing, decimals - 1);
    // The sign, or what overwrites it.
    to[at] = b'-';
    put_digits(all, decimals, leading, trailing, to, at + (bits >> 31) as usize)
}

/// The digits of the shortest decimal within the rounding interval of (2^23 + `fraction`) units, the nearest
/// to it where several are as short; in units of 10^-d, trailing zeros included.
#[inline]
fn shortest(fraction: u32, scale: u64) -> u32 {
    let significand = fraction | 0x0080_0000;
    let odd = significand & 1;
    // Below a power of two the neighbour is twice as near.
    let lower = scaled(4 * significand - 1 - u32::from(fraction != 0), scale) + odd;
    let upper = scaled(4 * significand + 2, scale) - odd;
    let value = scaled(4 * significand, scale);

    let near = value / 4;
    let short = near / 10;
    let (short_down, short_up) = (lower <= 40 * short, 40 * short + 40 <= upper);
    let (down, up) = (lower <= 4 * near, 4 * near + 4 <= upper);
    // Above the middle, or on it with an odd digit below.
    let nearest_up = value + (near & 1) > 4 * near + 2;
    // Which of these it is follows no pattern that a branch could be predicted by.
    let up = select_unpredictable(down == up, nearest_up, up);
    let (long, short) = (near + u32::from(up), 10 * (short + u32::from(short_up)));
    select_unpredictable(short_down == short_up, long, short)
}

/// Quarters of a unit in quarters of 10^-d, made odd where they are not whole: all that comparisons with even
/// numbers need.
#[inline]
fn scaled(quarters: u32, scale: u64) -> u32 {
    // With 59 bits of fraction in the scale and five here the whole part is a word of its own.
    let product = u128::from(quarters << 5) * u128::from(scale);
    (product >> 64) as u32 | u32::from(product as u64 != 0)
}

#[cold]
#[inline(never)]
fn put_far(value: f32, to: &mut [u8], at: usize) -> usize {
    if value.is_finite() {
        put_bytes(zmij::Buffer::new().format_finite(value).as_bytes(), to, at)
    } else {
        put_bytes(b"null", to, at)
    }
}

#[cfg(test)]
mod tests {
    use super::super::number::Text;
    use crate::features::cell::{Cell, Shape};

    fn real(value: f32) -> Text {
        Text::of(Cell::real(value), Shape::Real)
    }

    fn check(bits: u32) {
        let value = f32::from_bits(bits);
        let text = real(value);
        if value.is_finite() {
            let mut buffer = zmij::Buffer::new();
            assert_eq!(text.as_bytes(), buffer.format(value).as_bytes(), "{bits:#x} {value:e}");
        } else {
            assert_eq!(text.as_bytes(), b"null", "{bits:#x}");
        }
    }

    #[test]
    fn usual_values() {
        for value in [0.0f32, -0.0, 1.0, 0.5, 0.1, 12.34, -3.0, 1e-3, 1e-4, 16_777_216.0, 123_456_790.0, 1e30]
        {
            check(value.to_bits());
        }
        assert_eq!(real(0.0).as_bytes(), b"0.0");
        assert_eq!(real(-0.0).as_bytes(), b"-0.0");
        assert_eq!(real(12.34).as_bytes(), b"12.34");
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            check(value.to_bits());
        }
    }

    #[test]
    fn a_sample_of_every_exponent() {
        for exponent in 0..512u32 {
            for step in 0..2_000u32 {
                check(exponent << 23 | step.wrapping_mul(2_654_435_761) >> 9);
            }
            for edge in 0..4 {
                check(exponent << 23 | edge);
                check(exponent << 23 | (0x007f_ffff - edge));
            }
        }
    }

    /// `cargo test --release -p cartguard-engine all_of_them -- --ignored`: some 3 minutes.
    #[test]
    #[ignore = "2^32 values"]
    fn all_of_them() {
        for bits in 0..=u32::MAX {
            check(bits);
        }
    }
}
