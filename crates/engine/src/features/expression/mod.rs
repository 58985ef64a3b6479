//! Expressions over an event's fields and features: a flat program, evaluated without allocation.
//!
//! features file -> `parse` -> `compile` -> **program** -> batch
//!
//! Holds: f64 arithmetic in written order on a stack whose depth was checked; a result is finite or missing (NaN).
//! Truths are 1, 0 and NaN for unknown, joined as in Kleene's logic.
//! Not here: names and types (`compile`), when a program runs (`plan`, batch).

mod compile;
mod op;
mod parse;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use compile::{Scope, compile};
pub use op::Program;
pub use parse::ExpressionFault;
pub use vocabulary::{builtin_names, function_names};

use crate::event::EventRef;

/// What a program may read.
pub struct Context<'a> {
    pub event: EventRef<'a>,
    /// The published value of each feature as f64 (counts and money exactly, others as their f32), NaN where missing, and behind
    /// them the truth of each flag; empty for a condition over fields.
    pub operands: &'a [f64],
}
