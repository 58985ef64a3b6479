//! Write an f32 as the shortest decimal that reads back to it, without branching on its digits.
//!
//! cell -> `number` -> **real** -> features, line, reason
//!
//! In the range that features live in, 2^-13 to 2^23, an f32 times the power of ten that makes it a number of
//! seven to nine digits is exact in an f64: 24 bits times 5^11. So is half the distance to its neighbours. What is
//! nearest and what is shortest can then be asked in plain arithmetic (the question is that of R. Giulietti, "The
//! Schubfach way to render doubles", 2020). Zero rides along; all else goes to zmij. Alone, in a loop, zmij is as
//! fast; among other numbers of a line its branches cost more than its work.
//!
//! Holds: the text is zmij's, byte for byte, for every f32 (the test `all_of_them` compares all 2^32).
//! A value that no JSON number can hold, an infinity, is `null`.

#![expect(
    clippy::inline_always,
    reason = "called for each cell or run; a call costs as much as the work: measured"
)]

use super::number::{ASCII_8, ASCII_16, SMALL, eight_digits, lay_small, put_bytes, put_integer, room};

/// The fast ranges, in bits: 2^-13, 2^-3, 2^23.
const TINY_MIN: u32 = (127 - 13) << 23;
const USUAL_MIN: u32 = (127 - 3) << 23;
const USUAL_END: u32 = (127 + 23) << 23;

/// How numbers of one exponent become digits.
#[derive(Clone, Copy)]
struct Scale {
    /// The least power of ten that brings the unit of the last place to 1 or above, so that each integer is too
    /// coarse to be written shorter unless it ends in 0.
    power: f64,
    /// Half of the unit of the last place, times the power: below 5.
    half: f64,
    /// What makes the power 10^8, or 10^16 for tiny numbers.
    rest: f64,
}

/// By exponent, from that below [`TINY_MIN`], which is zero's.
const SCALES: [Scale; 37] = {
    let mut scales = [Scale { power: 10.0, half: 1.0, rest: 1e7 }; 37];
    let mut at = 1;
    while at < scales.len() {
        // The unit is 2^-37 or more: 2^(at - 37).
        let unit = 1.0 / (1u64 << (37 - at)) as f64;
        let mut power = 1.0;
        while power * unit < 1.0 {
            power *= 10.0;
        }
        let half = power * unit / 2.0;
        assert!(half < 4.99, "a multiple of ten is not as near as another");
        let tiny = ((at as u32) << 23) + TINY_MIN <= USUAL_MIN;
        scales[at] = Scale { power, half, rest: if tiny { 1e16 } else { 1e8 } / power };
        at += 1;
    }
    scales
};

/// 1.5 · 2^52: added to a smaller number it rounds that to an integer, ties to even, in the lowest bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// Writes the text of a value (`null` for NaN and infinities) and a comma at `at`; where the next one begins.
#[inline(always)]
pub(super) fn put_real(value: f32, to: &mut [u8], at: usize) -> usize {
    let bits = value.to_bits();
    let magnitude = bits & 0x7fff_ffff;
    if !(USUAL_MIN..USUAL_END).contains(&magnitude) && magnitude != 0 {
        return put_unusual(value, to, at);
    }
    // In units of 10^-8.
    let digits = shortest(magnitude);
    // Half a unit above the whole number at least, and as far below the next: no rounding crosses either.
    let whole = (digits + 0.5) * 1e-8 - 0.5 + ROUNDER;
    let fraction = digits - (whole - ROUNDER) * 1e8 + ROUNDER;

    let (whole, fraction) = (whole.to_bits() as u32, eight_digits(fraction.to_bits() as u32));
    // At least one digit, without the zeros behind the last.
    let fraction_len = (fraction | 1).ilog2() as usize / 8 + 1;
    let sign = (bits >> 31) as usize;
    let Some(&small) = SMALL.get(whole as usize) else {
        return put_large(sign, whole, fraction, fraction_len, to, at);
    };
    let to = room(to, at);
    // The sign, or what overwrites it.
    to[0] = b'-';
    let point = sign + lay_small(small, to, sign);
    to[point] = b'.';
    to[point + 1..point + 9].copy_from_slice(&(fraction | ASCII_8).to_le_bytes());
    to[point + 1 + fraction_len] = b',';
    at + point + fraction_len + 2
}

/// As [`put_real`], from 1,000 on.
#[inline(never)]
fn put_large(sign: usize, whole: u32, fraction: u64, len: usize, to: &mut [u8], at: usize) -> usize {
    to[at] = b'-';
    let point = put_integer(whole.into(), to, at + sign) - 1;
    let to = room(to, point);
    to[0] = b'.';
    to[1..9].copy_from_slice(&(fraction | ASCII_8).to_le_bytes());
    to[1 + len] = b',';
    point + len + 2
}

/// The shortest decimal within the rounding interval of a number of the fast range, the nearest to it where several
/// are as short; in units of 10^-8, or 10^-16 for tiny numbers.
#[inline(always)]
fn shortest(magnitude: u32) -> f64 {
    let scale = &SCALES[(magnitude >> 23).saturating_sub((TINY_MIN - 1) >> 23) as usize];
    let exact = f64::from(f32::from_bits(magnitude)) * scale.power;
    // The interval is shorter than 10: one multiple of ten can lie within, and never on its edge. (Below a power of
    // two it is half as long; there no multiple of ten makes the difference.)
    let short = (exact * 0.1 + ROUNDER - ROUNDER) * 10.0;
    let near = exact + ROUNDER - ROUNDER;
    let digits = if (short - exact).abs() < scale.half { short } else { near };
    digits * scale.rest
}

/// Tiny numbers, missing ones, and what is out of the fast range.
#[inline(never)]
fn put_unusual(value: f32, to: &mut [u8], at: usize) -> usize {
    let magnitude = value.abs().to_bits();
    if !(TINY_MIN..USUAL_MIN).contains(&magnitude) {
        return put_far(value, to, at);
    }
    // In units of 10^-16, of which there are less than 10^16.
    let digits = shortest(magnitude);
    let high = (digits + 0.5) * 1e-8 - 0.5 + ROUNDER;
    let low = digits - (high - ROUNDER) * 1e8 + ROUNDER;
    let all = u128::from(eight_digits(high.to_bits() as u32))
        | u128::from(eight_digits(low.to_bits() as u32)) << 64;
    to[at] = b'-';
    let at = at + usize::from(value < 0.0);
    let to = room(to, at);
    to[..2].copy_from_slice(b"0.");
    to[2..18].copy_from_slice(&(all | ASCII_16).to_le_bytes());
    let len = all.ilog2() as usize / 8 + 1;
    to[2 + len] = b',';
    at + len + 3
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
