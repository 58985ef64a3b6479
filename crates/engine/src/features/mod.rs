//! Features: one number each about an event.
//!
//! features file -> `file` -> **spec** -> `plan` -> window, batch

pub mod cell;
pub mod expression;
pub mod rounding;
pub mod spec;
