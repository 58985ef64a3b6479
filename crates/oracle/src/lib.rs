//! The naive, slow, independent twin of the engine's window semantics, for tests only.
//!
//! Written from docs/semantics.md alone (comments quote its sections), with plain lists, full rescans and big
//! integers. It shares no code with the engine, and nothing but tests imports it.
//!
//! - [`plan`]: what goes in and what comes out, as plain data;
//! - [`oracle`]: one event after the other, §1, §2 and §5;
//! - `flags`: conditions over features, and the layers that they make, §6;
//! - `state`: what a key holds, §2 and §4;
//! - `read`: a feature's value from it, §3 and §4;
//! - [`exact`]: rationals and roots, rounded once to f32;
//! - [`script`]: the small language of event histories;
//! - [`histories`]: random settings, features and histories from a seed;
//! - [`workload`]: the 90 features of the checkout workload, computed a second way.
//!
//! Not here: decoding, expressions over features but for flags of one form, scores.

pub mod exact;
mod flags;
pub mod histories;
pub mod oracle;
pub mod plan;
mod read;
pub mod script;
mod state;
pub mod workload;

pub use oracle::Oracle;
pub use plan::{
    Aggregate, Bounds, Column, Counts, Definition, Event, Flag, LabelIs, LabelLine, Labels, LabelsFrom,
    Operand, Outcome, Settings, Sizes, Value,
};
