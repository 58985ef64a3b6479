//! Round an exact value once, to the nearest f32, ties to even.
//!
//! window -> **rounding** -> cell, score
//!
//! Each function first computes in f64, whose error is a few units of its last place. Rounding that to f32 is
//! right unless the f64 lies so near the middle between two f32s that the true value may lie on the other side:
//! a chance of some 1 in 10^8 for values without pattern. Then the exact value is compared with that middle in
//! 256-bit integers. Nothing allocates.
//!
//! Holds: the result is that of exact arithmetic and one rounding, for subnormals and overflow too; 0 is
//! +0.0, and a value too small for an f32 a zero of its sign.
//! Not here: which sums a feature takes, what is missing (`window`).

use ethnum::U256;

/// Most decimal digits of a column of [`std_to_f32`]; its proof that 256 bits suffice needs a bound.
pub const STD_DIGITS_MAX: u32 = 9;

/// The bits of an f64 that an f32 has no place for, and the middle of what they can be.
const REST: u64 = (1 << 29) - 1;
const HALF: u64 = 1 << 28;

/// How far the f64 may be from the true value, in units of its last place. Derived: at most eight operations
/// and conversions of half a unit each, doubled for cancelled leading bits.
const SLACK: u64 = 8;

/// 10^-digits.
pub(crate) const TENTHS: [f64; 23] = [
    1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15,
    1e-16, 1e-17, 1e-18, 1e-19, 1e-20, 1e-21, 1e-22,
];

/// `value / 10^digits`.
#[inline]
pub fn decimal_to_f32(value: i64, digits: u32) -> f32 {
    // Within the table no value is small enough for a subnormal.
    if let Some(tenth) = TENTHS.get(digits as usize) {
        let near = value as f64 * tenth;
        if is_off_middle(near) {
            return near as f32;
        }
    }
    decimal_exactly(value, digits)
}

/// `num / den` for `den > 0`.
#[inline]
pub fn ratio_to_f32(num: i128, den: i128) -> f32 {
    debug_assert!(den > 0, "a ratio has a positive divisor");
    let near = to_f64(num) / to_f64(den);
    // Divisors from 2^126 on can make subnormals, where the middles are others.
    let normal = near.abs() >= f64::from(f32::MIN_POSITIVE) || num == 0;
    if normal && is_off_middle(near) { near as f32 } else { ratio_exactly(num, den) }
}

/// [`ratio_to_f32`] of 64 bits.
#[inline]
pub fn narrow_ratio_to_f32(num: i64, den: i64) -> f32 {
    debug_assert!(den > 0, "a ratio has a positive divisor");
    // No quotient of these is a subnormal.
    let near = num as f64 / den as f64;
    if is_off_middle(near) { near as f32 } else { ratio_exactly(num.into(), den.into()) }
}

/// The population's standard deviation of `n > 0` values of `digits` decimal digits (at most
/// [`STD_DIGITS_MAX`]) with these sums: `sqrt(n·Σx² − (Σx)²) / (n·10^digits)`.
#[inline]
pub fn std_to_f32(n: u64, sum: i128, sum_sq: u128, digits: u32) -> f32 {
    debug_assert!(n > 0 && digits <= STD_DIGITS_MAX);
    let spread = Spread::new(n, sum, sum_sq);
    let near = spread.near().sqrt() / n as f64 * TENTHS[digits as usize];
    if is_off_middle(near) { near as f32 } else { std_exactly(n, &spread, near, digits) }
}

/// How many standard deviations `x` lies from the mean of `n > 0` values with these sums:
/// `(n·x − Σx) / sqrt(n·Σx² − (Σx)²)`; 0 where the values have no spread. For n up to 2^40 and |x| up to 2^62.
#[inline]
pub fn zscore_to_f32(x: i64, n: u64, sum: i128, sum_sq: u128) -> f32 {
    debug_assert!(n > 0 && n <= 1 << 40 && x.unsigned_abs() <= 1 << 62);
    let spread = Spread::new(n, sum, sum_sq);
    if spread.is_zero() {
        return 0.0;
    }
    let above = i128::from(n) * i128::from(x) - sum;
    let near = to_f64(above) / spread.near().sqrt();
    if is_off_middle(near) { near as f32 } else { zscore_exactly(above, &spread, near) }
}

/// Whether rounding this f64 (of a normal f32's size, or 0) to f32 rounds the true value, too.
#[inline]
pub(crate) fn is_off_middle(near: f64) -> bool {
    // The rest moved up to fill 32 bits, which many numbers at once are compared in best.
    let above = (near.to_bits() << 3) as u32 as i32;
    above.wrapping_add((SLACK << 3) as i32) > i32::MIN + ((2 * SLACK) << 3) as i32
}

/// As `as f64`, without the call where 64 bits hold the value.
#[inline]
fn to_f64(value: i128) -> f64 {
    if let Ok(small) = i64::try_from(value) { small as f64 } else { wide_to_f64(value) }
}

/// Apart, for the compiler makes one conversion of 128 bits of two that it sees side by side.
#[cold]
#[inline(never)]
fn wide_to_f64(value: i128) -> f64 {
    value as f64
}

/// `n·Σx² − (Σx)²`, exactly.
enum Spread {
    Narrow(u128),
    Wide(U256),
}

impl Spread {
    #[inline]
    fn new(n: u64, sum: i128, sum_sq: u128) -> Self {
        let narrow = || {
            let squares = u128::from(n).checked_mul(sum_sq)?;
            let sum = sum.unsigned_abs();
            squares.checked_sub(sum.checked_mul(sum)?)
        };
        narrow().map_or_else(|| Self::wide(n, sum, sum_sq), Self::Narrow)
    }

    #[cold]
    fn wide(n: u64, sum: i128, sum_sq: u128) -> Self {
        let sum = U256::from(sum.unsigned_abs());
        // Never negative for sums of real values (Cauchy-Schwarz).
        Self::Wide((U256::from(n) * U256::from(sum_sq)).saturating_sub(sum * sum))
    }

    fn is_zero(&self) -> bool {
        match *self {
            Self::Narrow(spread) => spread == 0,
            Self::Wide(spread) => spread == U256::ZERO,
        }
    }

    #[inline]
    fn near(&self) -> f64 {
        match *self {
            Self::Narrow(spread) => match u64::try_from(spread) {
                Ok(small) => small as f64,
                Err(_) => spread as f64,
            },
            Self::Wide(spread) => spread.as_f64(),
        }
    }

    fn exact(&self) -> U256 {
        match *self {
            Self::Narrow(spread) => U256::from(spread),
            Self::Wide(spread) => spread,
        }
    }
}

#[cold]
#[inline(never)]
fn decimal_exactly(value: i64, digits: u32) -> f32 {
    // 2^63 / 10^65 is below half of the smallest f32, 2^-150.
    let size = if value == 0 || digits > 64 {
        0.0
    } else {
        quotient(U256::from(value.unsigned_abs()), U256::from(10u8).pow(digits))
    };
    if value < 0 { -size } else { size }
}

#[cold]
#[inline(never)]
fn ratio_exactly(num: i128, den: i128) -> f32 {
    if num == 0 {
        return 0.0;
    }
    let size = quotient(U256::from(num.unsigned_abs()), U256::from(den.unsigned_abs()));
    if num < 0 { -size } else { size }
}

/// `num / den` for positive numbers, `num` below 2^128 and `den` below 2^213.
fn quotient(num: U256, den: U256) -> f32 {
    // 2^(exponent - 1) < num / den < 2^(exponent + 1)
    let exponent = den.leading_zeros() as i32 - num.leading_zeros() as i32;
    // The unit is half of f32's last place or finer, but no finer than half of the smallest subnormal needs.
    let unit = (exponent - 26).max(-152);
    // The quotient has at most 27 bits: the shifted numbers stay below 2^(213 + 27).
    let (num, den) = if unit < 0 { (num << -unit as u32, den) } else { (num, den << unit as u32) };
    let (whole, rest) = (num / den, num % den);
    // Exact: at most 28 bits and a sticky one below them, times a power of two.
    let sticky = whole.as_u64() << 1 | u64::from(rest != U256::ZERO);
    (sticky as f64 * power_of_two(unit - 1)) as f32
}

#[cold]
#[inline(never)]
fn std_exactly(n: u64, spread: &Spread, near: f64, digits: u32) -> f32 {
    let spread = spread.exact();
    // sqrt(spread) / (n·10^digits) against m·2^e, squared: spread against (m·n·10^digits)²·2^2e.
    let scale = U256::from(n) * U256::from(10u64.pow(digits));
    beside_middle(near, spread, |middle| {
        let root = U256::from(middle) * scale;
        root * root
    })
}

#[cold]
#[inline(never)]
fn zscore_exactly(above: i128, spread: &Spread, near: f64) -> f32 {
    // |above| / sqrt(spread) against m·2^e, squared: above² against m²·spread·2^2e.
    let (above_size, spread) = (U256::from(above.unsigned_abs()), spread.exact());
    let size = beside_middle(near.abs(), above_size * above_size, |middle| {
        U256::from(middle) * U256::from(middle) * spread
    });
    if above < 0 { -size } else { size }
}

/// The f32 for a true value within [`SLACK`] of `near`, told which side of the middle it lies on by comparing
/// `square` with `square_of(m)·2^2e` for the middle m·2^e. Both sides are nearly equal, below 2^254 each, so
/// that shifting the smaller one up stays within 256 bits.
fn beside_middle(near: f64, square: U256, square_of: impl Fn(u64) -> U256) -> f32 {
    // Neither overflow nor subnormals: 2^-94 and 2^-126 at least, 2^127 at most, by the bounds of the callers.
    debug_assert!((f64::from(f32::MIN_POSITIVE)..f64::from(f32::MAX)).contains(&near));
    // Down to the f32 below the middle, whatever side `near` itself is on.
    let low = (near.to_bits().wrapping_sub(HALF - SLACK)) & !REST;
    let low_f32 = f64::from_bits(low) as f32;
    let low_bits = low_f32.to_bits();
    let middle = u64::from(low_bits & 0x007f_ffff | 0x0080_0000) << 1 | 1;
    let exponent = (low_bits >> 23) as i32 - 151;
    let (mut left, mut right) = (square, square_of(middle));
    if exponent < 0 {
        left <<= (-2 * exponent) as u32;
    } else {
        right <<= (2 * exponent) as u32;
    }
    let up = left > right || (left == right && low_bits & 1 == 1);
    f32::from_bits(low_bits + u32::from(up))
}

/// 2^exponent, for exponents of normal f64s.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::{BigInt, BigUint};
    use proptest::prelude::*;
    use std::cmp::Ordering;

    /// The slow twin: searches all f32s from 0 up for the last that is not above the value, then asks for the
    /// middle to the next. `against(m, e)` compares the value with m·2^e.
    fn searched(against: impl Fn(u32, i32) -> Ordering) -> f32 {
        let parts = |bits: u32| match bits >> 23 {
            0 => (bits, -149),
            exponent => (bits & 0x007f_ffff | 0x0080_0000, exponent as i32 - 150),
        };
        let (mut low, mut high) = (0, f32::INFINITY.to_bits());
        while high - low > 1 {
            let bits = low.midpoint(high);
            let (m, e) = parts(bits);
            if against(m, e) == Ordering::Less { high = bits } else { low = bits }
        }
        let (m, e) = parts(low);
        let up = match against(2 * m + 1, e - 1) {
            Ordering::Less => false,
            Ordering::Equal => low & 1 == 1,
            Ordering::Greater => true,
        };
        f32::from_bits(low + u32::from(up))
    }

    /// Compares `num / den` with m·2^e.
    fn compare(num: &BigUint, den: &BigUint, m: &BigUint, e: i32) -> Ordering {
        let right = den * m;
        if e < 0 { (num << -e).cmp(&right) } else { num.cmp(&(right << e)) }
    }

    fn signed(negative: bool, size: f32) -> f32 {
        if negative && size != 0.0 { -size } else { size }
    }

    fn ratio_twin(num: &BigInt, den: &BigUint) -> f32 {
        let negative = num.sign() == num_bigint::Sign::Minus;
        // A negative ratio that rounds to nothing keeps its sign, as IEEE 754 has it.
        let size = searched(|m, e| compare(num.magnitude(), den, &m.into(), e));
        if negative { -size } else { size }
    }

    fn decimal_twin(value: i64, digits: u32) -> f32 {
        ratio_twin(&value.into(), &BigUint::from(10u8).pow(digits))
    }

    fn spread_twin(n: u64, sum: i128, sum_sq: u128) -> BigUint {
        let spread = BigInt::from(n) * BigInt::from(sum_sq) - BigInt::from(sum).pow(2);
        spread.to_biguint().unwrap_or_default()
    }

    fn std_twin(n: u64, sum: i128, sum_sq: u128, digits: u32) -> f32 {
        let den = (BigUint::from(n) * BigUint::from(10u8).pow(digits)).pow(2);
        let spread = spread_twin(n, sum, sum_sq);
        searched(|m, e| compare(&spread, &den, &BigUint::from(m).pow(2), 2 * e))
    }

    fn zscore_twin(x: i64, n: u64, sum: i128, sum_sq: u128) -> f32 {
        let spread = spread_twin(n, sum, sum_sq);
        if spread == BigUint::ZERO {
            return 0.0;
        }
        let above = BigInt::from(n) * BigInt::from(x) - BigInt::from(sum);
        let square = above.magnitude().pow(2);
        let size = searched(|m, e| compare(&square, &spread, &BigUint::from(m).pow(2), 2 * e));
        signed(above.sign() == num_bigint::Sign::Minus, size)
    }

    #[track_caller]
    fn same(ours: f32, twin: f32) {
        assert_eq!(ours.to_bits(), twin.to_bits(), "{ours:e} is not {twin:e}");
    }

    /// Numbers halfway between two f32s of 24 bits: odd ones of 25 bits.
    fn a_middle() -> impl Strategy<Value = u32> {
        (1u32 << 23..1 << 24).prop_map(|half| 2 * half + 1)
    }

    #[test]
    fn simple_values() {
        same(decimal_to_f32(0, 2), 0.0);
        same(decimal_to_f32(1234, 2), 12.34);
        same(decimal_to_f32(-1234, 2), -12.34);
        same(decimal_to_f32(16_777_217, 0), 16_777_216.0);
        same(decimal_to_f32(16_777_219, 0), 16_777_220.0);
        same(ratio_to_f32(1, 3), 1.0 / 3.0);
        same(ratio_to_f32(0, 7), 0.0);
        same(ratio_to_f32(-1, i128::MAX), -ratio_to_f32(1, i128::MAX));
        same(ratio_to_f32(i128::MIN, 1), -(2.0f32.powi(127)));
        // 1 and 3: mean 2, deviation 1.
        same(std_to_f32(2, 4, 10, 0), 1.0);
        same(zscore_to_f32(4, 2, 4, 10), 2.0);
        same(zscore_to_f32(2, 2, 4, 10), 0.0);
        // No spread.
        same(std_to_f32(3, 9, 27, 2), 0.0);
        same(zscore_to_f32(4, 3, 9, 27), 0.0);
    }

    #[test]
    fn decimals_of_every_size() {
        for digits in 0..70 {
            for value in [1, 7, 1 << 24, (1 << 24) + 1, (1 << 53) + 1, i64::MAX, i64::MIN, -3] {
                same(decimal_to_f32(value, digits), decimal_twin(value, digits));
            }
        }
    }

    #[test]
    fn subnormal_ratios() {
        for shift in 100..127 {
            for num in [1i128, 3, 5, 0xff_ffff, 0x1ff_ffff] {
                for den in [1i128 << shift, (1 << shift) + 1, (1 << shift) - 1] {
                    same(ratio_to_f32(num, den), ratio_twin(&num.into(), &BigUint::from(den as u128)));
                }
            }
        }
    }

    #[test]
    fn the_largest_sums() {
        let (n, x) = (1u64 << 24, 1_000_000_000_000_000i64);
        let (sum, sum_sq) = (i128::from(x) * i128::from(n / 2 + 1), (x as u128).pow(2) * u128::from(n));
        same(std_to_f32(n, sum, sum_sq, 4), std_twin(n, sum, sum_sq, 4));
        same(zscore_to_f32(-x, n, sum, sum_sq), zscore_twin(-x, n, sum, sum_sq));
        let (n, sum) = (1u64 << 40, 1i128 << 84);
        same(std_to_f32(n, sum, u128::MAX, 9), std_twin(n, sum, u128::MAX, 9));
        same(zscore_to_f32(1 << 62, n, sum, u128::MAX), zscore_twin(1 << 62, n, sum, u128::MAX));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn any_decimal(value: i64, shift in 0u32..63, digits in 0u32..10) {
            same(decimal_to_f32(value >> shift, digits), decimal_twin(value >> shift, digits));
        }

        #[test]
        fn decimals_beside_a_middle(middle in a_middle(), shift in 0u32..38, digits in 0u32..10, by in -2i64..=2) {
            // middle / 2^shift in units of 10^-digits, and its neighbours.
            let value = (i128::from(middle) * 10i128.pow(digits)) >> shift;
            if let Ok(value) = i64::try_from(value) {
                same(decimal_to_f32(value + by, digits), decimal_twin(value + by, digits));
                same(decimal_to_f32(-value - by, digits), decimal_twin(-value - by, digits));
            }
        }

        #[test]
        fn any_ratio(num: i128, den: u128, by_num in 0u32..127, by_den in 1u32..127) {
            let (num, den) = (num >> by_num, ((den >> by_den) as i128).max(1));
            same(ratio_to_f32(num, den), ratio_twin(&num.into(), &(den as u128).into()));
        }

        #[test]
        fn ratios_beside_a_middle(middle in a_middle(), den: u128, by in 1u32..100, shift in 0u32..60, step in -1i128..=1) {
            let den = ((den >> by.max(27)) as i128).max(1);
            let num = (den * i128::from(middle)) + step;
            // A power of two in the divisor moves the exponent only.
            let den = den.checked_mul(1 << shift).unwrap_or(den);
            same(ratio_to_f32(num, den), ratio_twin(&num.into(), &(den as u128).into()));
        }

        #[test]
        fn deviations_of_any_values(values in prop::collection::vec(-1_000_000_000_000_000i64..=1_000_000_000_000_000, 1..40),
            shift in 0u32..50, digits in 0u32..=STD_DIGITS_MAX, x: i64) {
            let values = values.iter().map(|value| i128::from(value >> shift));
            let (n, sum) = (values.len() as u64, values.clone().sum::<i128>());
            let sum_sq = values.map(|value| (value * value) as u128).sum::<u128>();
            same(std_to_f32(n, sum, sum_sq, digits), std_twin(n, sum, sum_sq, digits));
            let x = x >> 13.max(shift);
            same(zscore_to_f32(x, n, sum, sum_sq), zscore_twin(x, n, sum, sum_sq));
        }

        #[test]
        fn deviations_beside_a_middle(middle in a_middle(), by in -2i128..=2, shift in 0u32..30, digits in 0u32..=STD_DIGITS_MAX) {
            // Of a and -a the deviation is a; a little more or less in the squares puts it beside.
            let scaled = u128::from(middle) * 10u128.pow(digits);
            let sum_sq = (2 * scaled * scaled).checked_add_signed(by).expect("in range");
            same(std_to_f32(2, 0, sum_sq, digits), std_twin(2, 0, sum_sq, digits));
            // The same, divided by a power of two in n.
            let n = 1u64 << shift;
            // Such sums may leave the 128 bits that callers have.
            if let Some(sum_sq) = (scaled * scaled).checked_mul(u128::from(n)) {
                let sum_sq = sum_sq.saturating_add_signed(by);
                same(std_to_f32(n * 4, 0, sum_sq, digits), std_twin(n * 4, 0, sum_sq, digits));
            }
        }

        #[test]
        fn scores_beside_a_middle(middle in a_middle(), root in 1u64..1 << 36, sum in -1i64 << 50..1 << 50, by in -2i64..=2, more in -1i128..=1) {
            // One value's sums, as though it had spread: what counts is the arithmetic.
            let spread = u128::from(root) * u128::from(root);
            let sum_sq = (spread + (i128::from(sum) * i128::from(sum)) as u128).checked_add_signed(more).expect("in range");
            let x = sum + (root * u64::from(middle)) as i64 + by;
            same(zscore_to_f32(x, 1, sum.into(), sum_sq), zscore_twin(x, 1, sum.into(), sum_sq));
            let x = sum - (root * u64::from(middle)) as i64 - by;
            same(zscore_to_f32(x, 1, sum.into(), sum_sq), zscore_twin(x, 1, sum.into(), sum_sq));
        }
    }
}
