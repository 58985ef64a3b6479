//! Nowhere: counts what it is given, for measuring everything before it.
//!
//! engine -> **null**

use super::{Output, Sink};
use crate::Trouble;

/// Counts bytes and drops them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NullSink {
    /// Bytes of decisions.
    pub decisions: u64,
    /// Bytes of alerts.
    pub alerts: u64,
    /// Bytes of rejects.
    pub rejects: u64,
}

impl Sink for NullSink {
    fn write(&mut self, batch: &Output<'_>) -> Result<(), Trouble> {
        self.decisions += bytes(batch.decisions);
        self.alerts += bytes(batch.alerts);
        self.rejects += bytes(batch.rejects);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        Ok(())
    }
}

fn bytes(pieces: &[&[u8]]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}
