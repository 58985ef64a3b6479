//! Generated checkouts with fraud in them: the same seed gives the same bytes, everywhere.
//!
//! settings -> **generator** (a world) -> bytes of one JSON object and, once an event, its label;
//! beside it the [`Schedule`] (when an event should be sent) and [`Latency`] (how late things were,
//! counted from that time).
//!
//! Holds: bytes depend on [`Settings`] alone (`ChaCha8`, own samplers, no maths library, no clock);
//! nothing is allocated for an event once buffers have grown.
//! Not here: threads, sockets, wall clocks; the binary paces and writes.

mod clock;
mod error;
mod generator;
pub mod handbook;
pub mod kpl;
mod label;
mod latency;
mod maths;
mod rng;
mod schedule;
mod settings;
mod shop;
mod text;
mod workload;
mod zipf;

pub use error::Error;
pub use generator::{EventInfo, Generator};
pub use label::{EventId, Label};
pub use latency::{Latency, LatencySummary};
pub use schedule::Schedule;
pub use settings::{DEFAULT_START_MS, HANDBOOK_START_MS, Settings, World};
