//! From bytes to a decision: the engine.
//!
//! One sequence of records goes in; decisions, alerts and rejects come out, the same bytes for any number
//! of workers and any batching. See ARCHITECTURE.md for the contract and docs/semantics.md for what a
//! feature value is.
//!
//! Not here: clocks, sockets, files, environment, random numbers. Time and order come in with the record.

pub mod batch;
pub mod currency;
pub mod decide;
pub mod decode;
pub mod document;
pub mod encode;
pub mod event;
pub mod features;
pub mod limits;
#[doc(hidden)]
pub mod measured;
pub mod record;
pub mod reject;
pub mod schema;
mod state;
mod window;
