//! Write the output lines: decisions, alerts, rejects, and the names of the features.
//!
//! decide -> **encode** -> sinks
//!
//! `plan` renders once what never changes (names, model, reason templates); `line` writes the lines;
//! `features`, `number`, `real`, `time` and `text` write their parts; `reason` a reason and its sentence;
//! `reject` what got no decision; `id` what every copy of a decision has in common.
//!
//! Holds: every line is one line, valid JSON, and a pure function of its input; members stand in the order of
//! the documented format; writing allocates nothing once its buffers have grown.
//! Not here: which events are alerts (`decide`), where the lines go (sinks), summaries.

mod features;
mod id;
mod line;
mod number;
mod plan;
mod real;
mod reason;
mod reject;
#[cfg(test)]
mod tests;
mod text;
mod time;

pub(crate) use id::PartitionKey;
pub use id::{Id, IdSettings};
pub use line::{Line, LineWriter, ScoreText};
pub use plan::{FeatureMeta, LineOptions, LinePlan, Selection};
pub use reason::Reason;
pub use reject::RejectLine;
