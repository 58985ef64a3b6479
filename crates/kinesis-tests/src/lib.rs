//! A local Kinesis and what goes wrong with a real one, for end-to-end tests.
//!
//! test -> SDK -> **proxy** (faults by a plan) -> **local** (ferrokinesis, in this process)

pub mod local;
pub mod proxy;
