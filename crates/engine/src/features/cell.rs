//! The value of one feature of one event, in one word.
//!
//! window, expression -> **cell** -> score, encode
//!
//! Counts and money stay integers, so that outputs show them exactly; everything else is an f32 from here on.

/// How a feature's value is kept and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A whole number.
    Integer,
    /// An integer with this many decimal digits: 1234 with 2 digits is 12.34.
    Decimal { digits: u32 },
    /// An f32.
    Real,
}

/// One value: an `i64` for integers and decimals, the bits of an `f32` for reals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Cell(pub i64);

impl Cell {
    /// No value, of an integer or a decimal.
    pub const MISSING: Self = Self(i64::MIN);

    /// A real; a missing one is any NaN, brought to one bit pattern.
    pub fn real(value: f32) -> Self {
        Self(i64::from(if value.is_nan() { f32::NAN } else { value }.to_bits()))
    }

    /// A real that is not missing.
    #[inline]
    pub(crate) fn finite(value: f32) -> Self {
        Self(i64::from(value.to_bits()))
    }

    /// The f32 of a real.
    pub fn as_real(self) -> f32 {
        f32::from_bits(self.0 as u32)
    }

    /// Whether it has no value.
    pub fn is_missing(self, shape: Shape) -> bool {
        match shape {
            Shape::Integer | Shape::Decimal { .. } => self == Self::MISSING,
            Shape::Real => self.as_real().is_nan(),
        }
    }
}
