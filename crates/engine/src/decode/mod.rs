//! Bytes -> event, or a reject.
//!
//! record -> **decode** -> dedupe
//!
//! ```text
//!          members known, in their order: guess ─┐
//! record ──► any other JSON: scan ───────────────┴─► found: where each mapped value stands ─► read ─► event
//!                 └─► accepted by simd-json too (tape) ─► the guess may learn it
//! ```
//!
//! Holds: the event or the reject is a function of the schema, the record, its form and its arrival. Which of the
//! parsers found the values changes nothing (tests compare all three over mutated records); `scan` is the definition. Numbers and
//! ids are read from the record's own text, never through a float. Nothing is allocated for a record once the buffers have grown.
//!
//! simd-json was the general parser, until `scan` was faster at every kind of record that was measured (checkouts, baskets
//! of 100 and 2,000 lines, long texts, floats, nested arrays, escapes, Cyrillic: by 14 to 54 %), since that walks the record once
//! and simd-json needs a copy, a tape and a second walk. It keeps the part of the independent judge: of the records that the
//! guess learns from, and of `scan` in tests and fuzz targets.
//!
//! Rejects of the record as a whole come first, then duplicates of mapped members, then fields (order in `read`).
//! Not here: duplicates of an event id (`dedupe`), features.

#![expect(clippy::inline_always, reason = "the guess is one loop over short values")]

mod amount;
mod edge;
mod found;
mod guess;
pub mod hash;
mod items;
pub mod label;
mod layout;
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

use crate::event::{EventMut, KeyTexts};
use crate::limits::RECORD_BYTES_MAX;
use crate::record::Form;
use crate::reject::{Reason, Reject};
use crate::schema::Schema;
use found::Found;
use paths::Paths;
use scan::Scratch;
use std::sync::Arc;

/// Of a row a source makes a JSON object, or, where it cannot, a text that is none.
fn of_form(reject: Reject, form: Form) -> Reject {
    match (form, reject.reason) {
        (Form::Row | Form::Label { is_row: true }, Reason::InvalidJson) => Reject::record(Reason::InvalidRow),
        _ => reject,
    }
}

/// Reads records by one schema; owns the buffers that reading needs.
pub struct Decoder {
    schema: Arc<Schema>,
    paths: Paths,
    guess: guess::Guess,
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
            guess: guess::Guess::default(),
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
        #[cfg(test)]
        tests::panic_where_asked(record);
        self.find(record).map_err(|reject| of_form(reject, form))?;
        let result =
            self.reader.event(&self.schema, &self.paths, &self.found, record, form, arrival_ms, event);
        self.learn(record);
        result
    }

    /// Whether the record that was decoded last is known to have no line end in it.
    pub fn is_one_line(&self) -> bool {
        self.guess.is_one_line()
    }

    /// The texts of each entity's key of a record that decoded, part by part, for alerts.
    pub fn key_texts(&mut self, record: &[u8], texts: &mut KeyTexts) {
        texts.clear();
        if self.find(record).is_err() {
            self.schema.entities.iter().for_each(|_| texts.begin(None));
            return;
        }
        self.reader.key_texts(&self.paths, &self.found, record, texts);
    }

    /// Finds the mapped values of a record, by whichever parser can.
    fn find(&mut self, record: &[u8]) -> Result<(), Reject> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(Reject::record(Reason::TooLarge));
        }
        if self.guess.read(record, &self.paths, &mut self.found) {
            return Ok(());
        }
        scan::scan(record, &self.paths, &mut self.found, &mut self.scratch)
    }

    /// Has the guess learn from a record that `scan` accepted, where it wants to and simd-json accepts it too.
    fn learn(&mut self, record: &[u8]) {
        if self.guess.wants(record)
            && self.found.duplicate.is_none()
            && self.tape.read(record, &self.paths, &mut self.found, &mut self.scratch)
        {
            self.guess.learn(record, &self.paths, &mut self.found, &mut self.scratch.seen);
        }
    }

    /// Whether the guess and simd-json find what `scan` finds in a record, or give way, and no line end was overlooked; for fuzz
    /// targets and tests.
    #[doc(hidden)]
    pub fn parsers_agree(&mut self, record: &[u8]) -> bool {
        let (mut by_tape, mut by_guess) = (Found::default(), Found::default());
        let guessed = self.guess.read(record, &self.paths, &mut by_guess);
        let one_line = !self.is_one_line() || memchr::memchr2(b'\n', b'\r', record).is_none();
        let taped = self.tape.read(record, &self.paths, &mut by_tape, &mut self.scratch);
        let scanned = scan::scan(record, &self.paths, &mut self.found, &mut self.scratch).is_ok();
        let agree = one_line
            && (!taped || (scanned && by_tape == self.found))
            && (!guessed || (scanned && by_guess == self.found && self.found.duplicate.is_none()));
        if scanned {
            self.learn(record);
        }
        agree
    }
}
