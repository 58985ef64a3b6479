//! Exponential, logarithm, sine and cosine in plain f64 arithmetic: the same bits on every platform.
//!
//! expression -> **math**
//!
//! The library functions of platforms differ in the last bit, and their versions do too; a feature must not.
//! Holds: only +, −, ×, ÷ in the order written (Rust never fuses them) and exact scaling by powers of two; within
//! 2 units in the last place of the true value (tests compare with the platform's, which is within 1).
//! Method: Cody and Waite's argument reduction ("Software Manual for the Elementary Functions", 1980) with the
//! constants split at 33 bits, then the Taylor series, summed from the smallest term, cut where the next term is below
//! 2^-60 of the result. The logarithm uses ln(1+f) = f − f²/2 + s·(f²/2 + 2s²/3 + 2s⁴/5 + …), s = f / (2 + f), which
//! keeps the leading term exact.

#![expect(clippy::float_cmp, reason = "the edges of a function are single numbers")]

/// ln 2 in two parts; the first has 33 bits, so that a product with an exponent is exact.
const LN2_HIGH: f64 = 0.693_147_180_485_539_1;
const LN2_LOW: f64 = 7.440_617_110_012_397e-11;
/// π/2 in three parts, the first two of 33 bits.
const HALF_PI_HIGH: f64 = 1.570_796_326_734_125_6;
const HALF_PI_MIDDLE: f64 = 6.077_100_506_303_966e-11;
const HALF_PI_LOW: f64 = 2.022_266_248_795_950_6e-21;

/// Largest argument of [`sin`] and [`cos`]: the reduction's products are exact up to 2^20 quarter turns.
const ANGLE_MAX: f64 = 1_000_000.0;

/// e^x.
pub fn exp(x: f64) -> f64 {
    if x.is_nan() {
        return f64::NAN;
    }
    if x > 709.79 {
        return f64::INFINITY;
    }
    if x < -745.14 {
        return 0.0;
    }
    let k = (x * std::f64::consts::LOG2_E).round_ties_even();
    let high = x - k * LN2_HIGH;
    let low = k * LN2_LOW;
    let r = high - low;
    let rest = (high - r) - low;
    let mut sum = 0.0;
    for n in (2..=14).rev() {
        sum = (sum + 1.0) * r / f64::from(n);
    }
    // sum = r/2 + r²/6 + …; e^r = 1 + (r + r·sum)
    let result = 1.0 + (r + (rest + r * sum));
    let k = k as i32;
    result * power_of_two(k / 2) * power_of_two(k - k / 2)
}

/// The natural logarithm; NaN below 0, minus infinity at 0.
pub fn ln(x: f64) -> f64 {
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if x == f64::INFINITY {
        return x;
    }
    let (k, m) = split(x);
    assemble(k, m - 1.0, 0.0)
}

/// ln(1 + x) without loss for small x; NaN below −1, minus infinity at −1.
pub fn ln_1p(x: f64) -> f64 {
    if x.is_nan() || x < -1.0 {
        return f64::NAN;
    }
    if x == -1.0 {
        return f64::NEG_INFINITY;
    }
    if x == f64::INFINITY {
        return x;
    }
    // [√½ − 1, √2 − 1]: x is the f of the series as it stands.
    if (-0.292_893_218_813_452_4..=0.414_213_562_373_095).contains(&x) {
        return assemble(0, x, 0.0);
    }
    let u = 1.0 + x;
    let lost = if x < 1.0 { x - (u - 1.0) } else { 1.0 - (u - x) };
    let (k, m) = split(u);
    assemble(k, m - 1.0, lost / u)
}

/// The sine of x radians; NaN where |x| > 1,000,000.
pub const fn sin(x: f64) -> f64 {
    let (quarter, r, rest) = reduce(x);
    match quarter {
        0 => sin_kernel(r, rest),
        1 => cos_kernel(r, rest),
        2 => -sin_kernel(r, rest),
        3 => -cos_kernel(r, rest),
        _ => f64::NAN,
    }
}

/// The cosine of x radians; NaN where |x| > 1,000,000.
pub const fn cos(x: f64) -> f64 {
    let (quarter, r, rest) = reduce(x);
    match quarter {
        0 => cos_kernel(r, rest),
        1 => -sin_kernel(r, rest),
        2 => -cos_kernel(r, rest),
        3 => sin_kernel(r, rest),
        _ => f64::NAN,
    }
}

/// x = 2^k · m with m in [√½, √2), for finite x > 0.
fn split(x: f64) -> (i32, f64) {
    let (x, shift) = if x < f64::MIN_POSITIVE { (x * power_of_two(54), -54) } else { (x, 0) };
    let bits = x.to_bits();
    let k = (bits >> 52) as i32 - 1023;
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    if m > std::f64::consts::SQRT_2 { (k + 1 + shift, m / 2.0) } else { (k + shift, m) }
}

/// k·ln 2 + ln(1 + f) + rest.
fn assemble(k: i32, f: f64, rest: f64) -> f64 {
    let s = f / (2.0 + f);
    let z = s * s;
    let mut series = 0.0;
    for n in (1..=12).rev() {
        series = (series + 2.0 / f64::from(2 * n + 1)) * z;
    }
    let half = f * f / 2.0;
    let k = f64::from(k);
    k * LN2_HIGH - ((half - (s * (half + series) + (k * LN2_LOW + rest))) - f)
}

fn power_of_two(k: i32) -> f64 {
    f64::from_bits(((k + 1023) as u64) << 52)
}

/// The quarter turn that x is in, what is left (at most π/4), and what rounding that lost.
const fn reduce(x: f64) -> (u8, f64, f64) {
    if !(x >= -ANGLE_MAX && x <= ANGLE_MAX) {
        return (u8::MAX, f64::NAN, f64::NAN);
    }
    let n = (x * std::f64::consts::FRAC_2_PI).round_ties_even();
    let high = x - n * HALF_PI_HIGH;
    let middle = n * HALF_PI_MIDDLE;
    let first = high - middle;
    let lost = (high - first) - middle;
    let low = n * HALF_PI_LOW - lost;
    let r = first - low;
    ((n as i64 & 3) as u8, r, (first - r) - low)
}

/// Taylor of sine from r³/3! to r^19/19!.
const fn sin_kernel(r: f64, rest: f64) -> f64 {
    let z = r * r;
    let mut sum = 0.0;
    let mut n = 19.0;
    while n >= 3.0 {
        sum = (1.0 - sum) * z / (n * (n - 1.0));
        n -= 2.0;
    }
    // sum = z/6 − z²/120 + …
    r + (rest - r * sum)
}

/// Taylor of cosine to r^18/18!, with what rounding 1 − r²/2 loses added back.
const fn cos_kernel(r: f64, rest: f64) -> f64 {
    let z = r * r;
    let mut sum = 0.0;
    let mut n = 18.0;
    while n >= 4.0 {
        sum = (1.0 - sum) * z / (n * (n - 1.0));
        n -= 2.0;
    }
    // sum = z/12 − z²/360 + …; cos = 1 − z/2 + (z/2)·sum − r·rest
    let half = z / 2.0;
    let top = 1.0 - half;
    top + (((1.0 - top) - half) + (half * sum - r * rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance in units in the last place.
    fn ulps(left: f64, right: f64) -> u64 {
        if left == right || (left.is_nan() && right.is_nan()) {
            return 0;
        }
        let ordered = |x: f64| {
            let bits = x.to_bits() as i64;
            if bits < 0 { i64::MIN - bits } else { bits }
        };
        ordered(left).abs_diff(ordered(right))
    }

    fn worst(name: &str, ours: fn(f64) -> f64, theirs: fn(f64) -> f64, inputs: impl Iterator<Item = f64>) {
        for x in inputs {
            let (left, right) = (ours(x), theirs(x));
            assert!(ulps(left, right) <= 2, "{name}({x:e}) = {left:e}, the platform says {right:e}");
        }
    }

    /// Even and odd steps through [low, high].
    fn steps(low: f64, high: f64) -> impl Iterator<Item = f64> {
        (0..=200_000).map(move |i| low + (high - low) * (f64::from(i) / 200_000.0))
    }

    fn powers() -> impl Iterator<Item = f64> {
        (-1_074..1_024)
            .flat_map(|k| [1.0, 1.1, std::f64::consts::SQRT_2, 1.5, 1.999].map(|m| m * 2_f64.powi(k)))
    }

    #[test]
    fn exponential() {
        worst("exp", exp, f64::exp, steps(-745.0, 709.7));
        worst("exp", exp, f64::exp, steps(-1.0, 1.0));
        worst("exp", exp, f64::exp, powers());
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
        assert_eq!(exp(800.0), f64::INFINITY);
    }

    #[test]
    fn logarithms() {
        worst("ln", ln, f64::ln, powers());
        worst("ln", ln, f64::ln, steps(0.5, 2.0));
        worst("ln", ln, f64::ln, steps(1e-9, 1e6));
        worst("ln_1p", ln_1p, f64::ln_1p, powers());
        worst("ln_1p", ln_1p, f64::ln_1p, powers().map(|x| -x).filter(|x| *x > -1.0));
        worst("ln_1p", ln_1p, f64::ln_1p, steps(-0.999_999, 3.0));
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(ln(0.0), f64::NEG_INFINITY);
        assert!(ln(-1.0).is_nan());
        assert_eq!(ln_1p(0.0), 0.0);
    }

    #[test]
    fn circle() {
        worst("sin", sin, f64::sin, steps(-10.0, 10.0));
        worst("cos", cos, f64::cos, steps(-10.0, 10.0));
        worst("sin", sin, f64::sin, steps(-1e6, 1e6));
        worst("cos", cos, f64::cos, steps(-1e6, 1e6));
        let quarters = || (-1_000..1_000).map(|n| f64::from(n) * std::f64::consts::FRAC_PI_2);
        worst("sin", sin, f64::sin, quarters());
        worst("cos", cos, f64::cos, quarters());
        assert_eq!(sin(0.0), 0.0);
        assert_eq!(cos(0.0), 1.0);
        assert!(sin(2e6).is_nan() && cos(f64::INFINITY).is_nan());
    }

    /// The bits themselves, so that another platform that differs is found out.
    #[test]
    fn bits() {
        let sum = |function: fn(f64) -> f64| {
            steps(0.1, 3.0).fold(0_u64, |hash, x| hash.rotate_left(5) ^ function(x).to_bits())
        };
        let sums = [sum(exp), sum(ln), sum(ln_1p), sum(sin), sum(cos)].map(|hash| format!("{hash:016x}"));
        let known = "35febe59d328d0aa 37435b1b64aeabfa 6fcdfaf802897f2d 8edc33b6d0339505 a693bcf6e2981c89";
        assert_eq!(sums.join(" "), known);
    }
}
