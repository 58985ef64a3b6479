//! Bytes -> event, or a reject.
//!
//! record -> **decode** -> dedupe
//!
//! ```text
//!            same shape as before: guess ─┐
//! record ──► JSON: tape (simd-json) ──────┼─► found: where each mapped value stands ─► read ─► event
//!            refused by simd-json: scan ──┘
//! ```
//!
//! Holds: the event or the reject is a function of the schema, the record, its form and its arrival. Which of the
//! three parsers found the values changes nothing (tests compare them over mutated records); `scan` is the definition. Numbers and
//! ids are read from the record's own text, never through a float. Nothing is allocated for a record once the buffers have grown.
//!
//! Rejects of the record as a whole come first, then duplicates of mapped members, then fields (order in `read`).
//! Not here: duplicates of an event id (`dedupe`), features.

mod amount;
mod found;
pub mod hash;
mod items;
mod number;
mod paths;
mod read;
mod scan;
mod tape;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod value;

use crate::event::EventMut;
use crate::limits::RECORD_BYTES_MAX;
use crate::record::Form;
use crate::reject::{Reason, Reject};
use crate::schema::Schema;
use found::Found;
use paths::Paths;
use scan::Scratch;
use std::sync::Arc;

/// Reads records by one schema; owns the buffers that reading needs.
pub struct Decoder {
    schema: Arc<Schema>,
    paths: Paths,
    tape: tape::Reader,
    scratch: Scratch,
    found: Found,
    reader: read::Reader,
}

impl Decoder {
    /// A decoder of records mapped by `schema`.
    pub fn new(schema: Arc<Schema>) -> Self {
        Self {
            paths: Paths::new(&schema),
            tape: tape::Reader::new(),
            scratch: Scratch::default(),
            found: Found::default(),
            reader: read::Reader::new(&schema),
            schema,
        }
    }

    /// Reads one record. `arrival_ms` is the upstream's, or `NO_ARRIVAL`. After a reject the event is unspecified.
    pub fn decode(
        &mut self,
        record: &[u8],
        form: Form,
        arrival_ms: i64,
        event: &mut EventMut<'_>,
    ) -> Result<(), Reject> {
        self.find(record)?;
        self.reader.event(&self.schema, &self.paths, &self.found, record, form, arrival_ms, event)
    }

    /// The text of each entity's key of a record that decoded (`None` without a key; the parts of a composite key
    /// joined by `|`), for alerts.
    pub fn key_texts(&mut self, record: &[u8], texts: &mut Vec<Option<String>>) {
        texts.clear();
        if self.find(record).is_err() {
            texts.resize(self.schema.entities.len(), None);
            return;
        }
        self.reader.key_texts(&self.paths, &self.found, record, texts);
    }

    /// Finds the mapped values of a record, by whichever parser can.
    fn find(&mut self, record: &[u8]) -> Result<(), Reject> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(Reject::record(Reason::TooLarge));
        }
        if self.tape.read(record, &self.paths, &mut self.found, &mut self.scratch) {
            return Ok(());
        }
        scan::scan(record, &self.paths, &mut self.found, &mut self.scratch)
    }
}
