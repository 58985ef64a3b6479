//! Expressions over an event's fields and features: a flat program, evaluated without allocation.

use crate::event::EventRef;

/// A checked, compiled expression.
#[derive(Clone, Debug, Default)]
pub struct Program {}

/// What a program may read.
pub struct Context<'a> {
    pub event: EventRef<'a>,
    /// The published value of each feature as f64 (counts and money exactly, others as their f32), NaN where missing;
    /// empty when conditions are evaluated.
    pub features: &'a [f64],
}

impl Program {
    /// The number; NaN where missing.
    pub fn number(&self, _context: &Context<'_>) -> f64 {
        f64::NAN
    }

    /// The truth; a comparison with a missing operand is false, and so is its negation.
    pub fn truth(&self, _context: &Context<'_>) -> bool {
        false
    }

    /// Indices of the features that it reads.
    pub fn reads(&self) -> &[usize] {
        &[]
    }
}
