//! Features: one number each about an event.
//!
//! features file -> `file` -> **spec** -> `plan` -> window, batch

pub mod cell;
mod condition;
mod expand;
pub mod expression;
pub mod file;
mod flags;
pub(crate) mod graph;
pub mod math;
pub mod names;
pub mod plan;
pub(crate) mod reads;
pub mod rounding;
pub mod sentence;
pub mod spec;
pub(crate) mod wording;
