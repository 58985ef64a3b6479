//! Logarithm, exponential and powers from additions, multiplications and divisions.
//!
//! Why not std's: those call the platform's maths library, whose last bit differs between machines,
//! and a bit in a weight becomes a byte in an event. IEEE 754 fixes the four operations and `sqrt`.
//!
//! Holds: relative error below 1e-13 over the range used here; equal bits everywhere.

const LN_2: f64 = std::f64::consts::LN_2;
const SQRT_2: f64 = std::f64::consts::SQRT_2;

/// Natural logarithm of a positive, normal number.
pub(crate) fn ln(x: f64) -> f64 {
    debug_assert!(x >= f64::MIN_POSITIVE && x.is_finite());
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as i64 - 1_023;
    let mut mantissa = f64::from_bits(bits & 0x000f_ffff_ffff_ffff | 0x3ff0_0000_0000_0000);
    if mantissa > SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    // ln m = 2 artanh((m - 1) / (m + 1)); |s| <= 0.172, so s^23 is below 1e-17.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let mut sum = 0.0;
    for odd in [21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        sum = sum * square + 1.0 / odd;
    }
    exponent as f64 * LN_2 + 2.0 * s * sum
}

/// e to the power of `x`, for |x| below 700.
pub(crate) fn exp(x: f64) -> f64 {
    debug_assert!(x.abs() < 700.0);
    let halvings = (x / LN_2).round();
    let rest = x - halvings * LN_2;
    let mut sum = 1.0;
    for place in (1..=16).rev() {
        sum = 1.0 + sum * rest / f64::from(place);
    }
    sum * f64::from_bits(((halvings as i64 + 1_023) as u64) << 52)
}

/// `base` to the power of `exponent`, `base` positive.
pub(crate) fn pow(base: f64, exponent: f64) -> f64 {
    exp(exponent * ln(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_platform() {
        for step in 1..2_000 {
            let x = f64::from(step) * 0.37;
            assert!((ln(x) - x.ln()).abs() < 1e-13 * (1.0 + x.ln().abs()), "ln {x}");
            let y = f64::from(step - 1_000) * 0.05;
            assert!((exp(y) / y.exp() - 1.0).abs() < 1e-12, "exp {y}");
            assert!((pow(x, -0.8) / x.powf(-0.8) - 1.0).abs() < 1e-12, "pow {x}");
        }
    }
}
