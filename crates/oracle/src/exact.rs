//! Exact numbers: a rational, or the square root of one, and their rounding to f32.
//!
//! Rounding is by search and exact comparison: the two neighbouring f32 are found, and the number is compared
//! with the middle between them. Slow, and right by definition.

use std::cmp::Ordering;

use num_bigint::{BigInt, BigUint, Sign};

/// `sign * numerator / denominator`, or `sign * sqrt(numerator / denominator)`.
#[derive(Clone, Debug)]
pub struct Exact {
    negative: bool,
    numerator: BigUint,
    /// Not 0.
    denominator: BigUint,
    root: bool,
}

impl Exact {
    /// `numerator / denominator`; the denominator is not 0.
    pub fn ratio(numerator: impl Into<BigInt>, denominator: impl Into<BigInt>) -> Self {
        let (numerator_sign, numerator) = numerator.into().into_parts();
        let (denominator_sign, denominator) = denominator.into().into_parts();
        assert!(denominator_sign != Sign::NoSign, "division by 0");
        let negative = numerator_sign != Sign::NoSign
            && (numerator_sign == Sign::Minus) != (denominator_sign == Sign::Minus);
        Self { negative, numerator, denominator, root: false }
    }

    /// `scaled / 10^digits`.
    pub fn decimal(scaled: impl Into<BigInt>, digits: u32) -> Self {
        Self::ratio(scaled, BigInt::from(10).pow(digits))
    }

    pub fn is_zero(&self) -> bool {
        self.numerator == BigUint::ZERO
    }

    /// The root of a number that is not negative and not a root itself.
    #[must_use]
    pub fn sqrt(self) -> Self {
        assert!(!self.negative && !self.root, "no root of {self:?}");
        Self { root: true, ..self }
    }

    /// Division by another number that is not 0.
    #[must_use]
    pub fn over(self, divisor: Self) -> Self {
        assert!(!divisor.is_zero(), "division by 0");
        let root = self.root || divisor.root;
        let (a, b) = if root { (self.squared_inside(), divisor.squared_inside()) } else { (self, divisor) };
        Self {
            negative: a.negative != b.negative && !a.is_zero(),
            numerator: a.numerator * b.denominator,
            denominator: a.denominator * b.numerator,
            root,
        }
    }

    /// The same number, written as a root.
    fn squared_inside(self) -> Self {
        if self.root {
            return self;
        }
        Self {
            negative: self.negative,
            numerator: self.numerator.pow(2),
            denominator: self.denominator.pow(2),
            root: true,
        }
    }

    /// The nearest f32, ties to even; infinite from half a step past the largest on.
    pub fn to_f32(&self) -> f32 {
        // Positive floats are in the order of their bits: the largest that is not above the magnitude.
        let mut low = 0;
        let mut high = f32::MAX.to_bits();
        while low < high {
            let middle = (low + high).div_ceil(2);
            match self.compare(f32::from_bits(middle), f32::from_bits(middle)) {
                Ordering::Less => high = middle - 1,
                Ordering::Equal | Ordering::Greater => low = middle,
            }
        }
        let below = f32::from_bits(low);
        // Past the largest float comes 2^128, as though exponents went on; its bits are those of infinity.
        let up = match self.compare(below, f32::from_bits(low + 1)) {
            Ordering::Less => false,
            Ordering::Equal => low % 2 == 1,
            Ordering::Greater => true,
        };
        let magnitude = if up { f32::from_bits(low + 1) } else { below };
        if self.negative { -magnitude } else { magnitude }
    }

    /// The magnitude compared with `(a + b) / 2`; infinity stands for 2^128.
    fn compare(&self, a: f32, b: f32) -> Ordering {
        // In units of 2^-150 every f32, and every middle between two of them, is an integer.
        let other = units(a) / 2u32 + units(b) / 2u32;
        let one: BigUint = BigUint::from(1u32) << 150;
        if self.root {
            (&self.numerator * one.pow(2)).cmp(&(&self.denominator * other.pow(2)))
        } else {
            (&self.numerator * one).cmp(&(&self.denominator * other))
        }
    }
}

/// A float that is not negative, in units of 2^-150; infinity as 2^128.
fn units(float: f32) -> BigUint {
    let bits = float.to_bits();
    let (exponent, fraction) = (bits >> 23, bits & 0x7f_ffff);
    // IEEE 754: subnormals are fraction * 2^-149, others (2^23 + fraction) * 2^(exponent - 150).
    if exponent == 0 { BigUint::from(fraction) << 1 } else { BigUint::from(fraction + (1 << 23)) << exponent }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f32_of(numerator: i128, denominator: i128) -> f32 {
        Exact::ratio(numerator, denominator).to_f32()
    }

    #[test]
    fn known_quotients() {
        assert_eq!(f32_of(0, 7).to_bits(), 0);
        assert_eq!(f32_of(1, 3).to_bits(), 0x3eaa_aaab);
        assert_eq!(f32_of(-1, 3).to_bits(), 0xbeaa_aaab);
        assert_eq!(f32_of(1, -10).to_bits(), (-0.1f32).to_bits());
        assert_eq!(f32_of(1234, 100).to_bits(), 12.34f32.to_bits());
        assert_eq!(f32_of(9_007_199_254_740_993, 1).to_bits(), 9_007_199_254_740_992f32.to_bits());
    }

    #[test]
    fn ties_go_to_even_and_a_hair_decides() {
        let tie = (1 << 24) + 1; // between 2^24 and 2^24 + 2
        assert_eq!(f32_of(tie, 1).to_bits(), 16_777_216f32.to_bits());
        assert_eq!(f32_of(tie + 2, 1).to_bits(), 16_777_220f32.to_bits());
        assert_eq!(f32_of(tie * 1_000_000_000 + 1, 1_000_000_000).to_bits(), 16_777_218f32.to_bits());
        assert_eq!(f32_of(tie * 1_000_000_000 - 1, 1_000_000_000).to_bits(), 16_777_216f32.to_bits());
    }

    #[test]
    fn subnormals_and_overflow() {
        let two = BigInt::from(2);
        let small = |numerator: i32, power| Exact::ratio(numerator, two.pow(power)).to_f32();
        assert_eq!(small(1, 149).to_bits(), 1);
        assert_eq!(small(1, 150).to_bits(), 0, "a tie between 0 and the smallest");
        assert_eq!(small(3, 150).to_bits(), 2, "a tie between the first and the second");
        assert_eq!(small(5, 152).to_bits(), 1);
        assert_eq!(small(1, 126).to_bits(), f32::MIN_POSITIVE.to_bits());
        assert_eq!(small(-1, 149).to_bits(), 0x8000_0001);
        let max: BigInt = (two.pow(24) - 1) << 104;
        let half_step = two.pow(103);
        assert_eq!(Exact::ratio(max.clone(), 1).to_f32().to_bits(), f32::MAX.to_bits());
        assert_eq!(Exact::ratio(&max + &half_step - 1, 1).to_f32().to_bits(), f32::MAX.to_bits());
        assert_eq!(Exact::ratio(&max + &half_step, 1).to_f32().to_bits(), f32::INFINITY.to_bits());
        assert_eq!(Exact::ratio(-(max + half_step), 1).to_f32().to_bits(), f32::NEG_INFINITY.to_bits());
    }

    #[test]
    fn roots() {
        assert_eq!(Exact::ratio(4, 9).sqrt().to_f32().to_bits(), f32_of(2, 3).to_bits());
        assert_eq!(Exact::ratio(2, 1).sqrt().to_f32().to_bits(), std::f32::consts::SQRT_2.to_bits());
        // (2^24 + 1)^2 is a tie after the root; one more or less is not.
        let tie = BigInt::from((1 << 24) + 1).pow(2);
        assert_eq!(Exact::ratio(tie.clone(), 1).sqrt().to_f32().to_bits(), 16_777_216f32.to_bits());
        assert_eq!(Exact::ratio(tie + 1, 1).sqrt().to_f32().to_bits(), 16_777_218f32.to_bits());
    }

    #[test]
    fn quotients_of_roots() {
        let root = |n: i32| Exact::ratio(n, 1).sqrt();
        assert_eq!(root(8).over(root(2)).to_f32().to_bits(), 2f32.to_bits());
        assert_eq!(Exact::ratio(-6, 1).over(root(4)).to_f32().to_bits(), (-3f32).to_bits());
        assert_eq!(root(4).over(Exact::ratio(-1, 2)).to_f32().to_bits(), (-4f32).to_bits());
        assert_eq!(Exact::ratio(0, 1).over(Exact::ratio(-1, 2)).to_f32().to_bits(), 0);
    }

    /// f64 carries every quotient of two 24-bit integers far enough to be rounded again without harm
    /// (53 >= 2 * 24 + 2), and so for roots.
    #[test]
    fn agrees_with_the_processor() {
        let mut state = 1u64;
        for _ in 0..3000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (a, b) = (i128::from(state >> 41), i128::from(state >> 20 & 0x7f_ffff) + 1);
            assert_eq!(f32_of(a, b).to_bits(), (a as f32 / b as f32).to_bits(), "{a} / {b}");
            assert_eq!(
                Exact::ratio(a, 1).sqrt().to_f32().to_bits(),
                (a as f32).sqrt().to_bits(),
                "root of {a}"
            );
        }
    }
}
