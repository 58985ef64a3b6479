//! Write an f32 as the shortest decimal that reads back to it, without branching on its digits.
//!
//! cell -> `number` -> **real** -> line
//!
//! Schubfach (R. Giulietti, "The Schubfach way to render doubles", 2020) for the range that features live in,
//! 2^-13 to 2^27, where the powers of ten are exact integers of 64 bits and nothing is estimated. Zero and
//! missing ride along; all else goes to zmij.
//!
//! Holds: the text is zmij's, byte for byte, for every f32 (the test `all_of_them` compares all 2^32).
//! A value that no JSON number can hold, an infinity, is `null`.

use super::number::{ASCII_16, Text, eight_digits, with_point};

/// Exponents of two of the unit of the last place, from and to (inclusive), of the fast range.
const UNIT_MIN: i32 = -36;
const UNIT_MAX: i32 = 3;

/// For a unit 2^q: 10^-k * 2^(60+q) with 10^k <= 2^q < 10^(k+1), and k.
const SCALES: [(u64, i32); (UNIT_MAX - UNIT_MIN + 1) as usize] = {
    let mut scales = [(0, 0); (UNIT_MAX - UNIT_MIN + 1) as usize];
    let mut at = 0;
    while at < scales.len() {
        let exponent = (60 + UNIT_MIN + at as i32) as u32;
        let (mut power, mut k) = (1u64, 0);
        // The smallest power of ten that brings 2^q to 1 or above.
        while (power as u128) << exponent < 1 << 60 {
            power *= 10;
            k -= 1;
        }
        scales[at] = (power << exponent, k);
        at += 1;
    }
    scales
};

/// The text of a value; `null` for NaN and infinities.
#[inline]
pub(super) fn real(value: f32) -> Text {
    let bits = value.to_bits();
    let magnitude = bits & 0x7fff_ffff;
    let (zero, nan) = (magnitude == 0, magnitude > 0x7f80_0000);
    // Both are worked through as 1.0 and replaced at the end.
    let magnitude = if zero | nan { 1.0f32.to_bits() } else { magnitude };
    let unit = (magnitude >> 23) as i32 - 150;
    if !(UNIT_MIN..=UNIT_MAX).contains(&unit) {
        return far(value);
    }
    let (scale, k) = SCALES[(unit - UNIT_MIN) as usize];
    let digits = shortest(magnitude & 0x007f_ffff, scale);

    // 7 to 9 digits, the first in the lowest byte, without leading zeros.
    let high = digits / 100_000_000;
    let all = u128::from(high) | u128::from(eight_digits(digits - high * 100_000_000)) << 8;
    let leading = all.trailing_zeros() / 8;
    let significant = all >> (8 * leading);
    let len = 16 - significant.leading_zeros() / 8;
    let whole = 9 - leading as i32 + k;
    // 0.00123: zeros in front until one digit stands before the point.
    let zeros = (1 - whole).max(0);
    let (len, whole) = (len + zeros as u32, (whole + zeros) as u32);
    let text = (significant << (8 * zeros)) | ASCII_16;
    // 12.0: at least one digit behind the point.
    let len = len.max(whole + 1) + 1;
    let text = with_point(text, whole);
    let text = text & ((1 << (8 * len)) - 1) | u128::from(b',') << (8 * len);

    // 0.0 is 1.0 with another first digit.
    let text = text - u128::from(zero);
    let negative = (bits >> 31) & u32::from(!nan);
    let text = text << (8 * negative) | u128::from(negative * u32::from(b'-'));
    const NULL: u128 = u128::from_le_bytes(*b"null,\0\0\0\0\0\0\0\0\0\0\0");
    let (text, len) = if nan { (NULL, 4) } else { (text, len) };
    Text::short(text, len + 1 + negative)
}

/// The digits of the shortest decimal within the rounding interval of (2^23 + `fraction`) units, the nearest
/// to it where several are as short; in units of 10^k, trailing zeros included.
#[inline]
fn shortest(fraction: u32, scale: u64) -> u32 {
    let significand = fraction | 0x0080_0000;
    let odd = significand & 1;
    let scaled = u128::from(4 * significand) * u128::from(scale);
    // Below a power of two the neighbour is twice as near.
    let to_lower = u128::from(scale) << u32::from(fraction != 0);
    let lower = quarters(scaled - to_lower) + odd;
    let upper = quarters(scaled + (u128::from(scale) << 1)) - odd;
    let value = quarters(scaled);

    let near = value / 4;
    let short = near / 10;
    let (short_down, short_up) = (lower <= 40 * short, 40 * short + 40 <= upper);
    let (down, up) = (lower <= 4 * near, 4 * near + 4 <= upper);
    let middle = 4 * near + 2;
    let nearest_up = value > middle || (value == middle && near & 1 == 1);
    let up = if down == up { nearest_up } else { up };
    if short_down == short_up { near + u32::from(up) } else { 10 * (short + u32::from(short_up)) }
}

/// The whole part of a product with 60 fraction bits, made odd where the fraction is not 0: all that
/// comparisons with even numbers need.
#[inline]
fn quarters(product: u128) -> u32 {
    (product >> 60) as u32 | u32::from(product & ((1 << 60) - 1) != 0)
}

#[cold]
#[inline(never)]
fn far(value: f32) -> Text {
    if value.is_finite() { Text::of(zmij::Buffer::new().format(value).as_bytes()) } else { Text::of(b"null") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bits: u32) {
        let value = f32::from_bits(bits);
        let text = real(value);
        if value.is_finite() {
            let mut buffer = zmij::Buffer::new();
            assert_eq!(text.as_bytes(), buffer.format(value).as_bytes(), "{bits:#x} {value:e}");
        } else {
            assert_eq!(text.as_bytes(), b"null", "{bits:#x}");
        }
        assert_eq!(text.bytes[text.len as usize - 1], b',');
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
