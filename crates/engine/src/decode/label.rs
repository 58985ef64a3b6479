//! A label that is a record of its own: `event_id`, `label`, `known_at`.
//!
//! record -> **label** -> waiting (of the engine), the judge of models
//!
//! Holds: an id is read and hashed as that of an event, so that a label finds it; a label says fraud or legit or is a reject.
//! Not here: which event it is of, when it begins to count (`state::waiting`).

use super::found::Found;
use super::paths::Paths;
use super::scan::{self, Scratch};
use super::{of_form, read, time, value};
use crate::limits::RECORD_BYTES_MAX;
use crate::record::Form;
use crate::reject::{Reason, Reject, Subject};
use crate::schema::{CurrencySource, Labels, LabelsFrom, Path, Schema, TimeField, TimeForm, WindowScale};

/// What a record of a label says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label<'a> {
    /// Keyed hash of the event's id.
    pub id_hash: u64,
    /// The id's text in the record, as an event's ([`crate::event::Head::id`]).
    pub id: &'a [u8],
    pub is_fraud: bool,
    /// Since when it is known, ms UTC.
    pub known_ms: i64,
}

/// Whether a text says fraud (`true`) or legit.
pub fn truth(text: &[u8]) -> Option<bool> {
    match text {
        b"fraud" | b"true" | b"1" | b"1.0" => Some(true),
        b"legit" | b"false" | b"0" | b"0.0" => Some(false),
        _ => None,
    }
}

/// Reads labels; owns the buffers that reading needs.
#[derive(Debug)]
pub struct LabelDecoder {
    paths: Paths,
    scratch: Scratch,
    found: Found,
    reader: read::Reader,
    text: Vec<u8>,
}

impl LabelDecoder {
    /// Of ids that are hashed by this seed.
    pub fn new(hash_seed: u64) -> Self {
        let schema = schema(hash_seed);
        Self {
            paths: Paths::new(&schema),
            scratch: Scratch::default(),
            found: Found::default(),
            reader: read::Reader::new(&schema),
            text: Vec::new(),
        }
    }

    /// Reads one record.
    pub fn decode<'a>(&mut self, record: &'a [u8], form: Form) -> Result<Label<'a>, Reject> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(Reject::record(Reason::TooLarge));
        }
        scan::scan(record, &self.paths, &mut self.found, &mut self.scratch)
            .map_err(|reject| of_form(reject, form))?;
        if let Some(subject) = self.found.duplicate {
            return Err(Reject { reason: Reason::DuplicateMember, subject: of_label(subject) });
        }
        let Self { paths, found, reader, text, .. } = self;
        let leaf = |id: u16| found.leaves[usize::from(id)];
        let (id_hash, id) = reader
            .id(leaf(paths.id), record)
            .map_err(|reject| Reject { subject: of_label(reject.subject), ..reject })?;
        let reject = |subject| move |reason| Reject { reason, subject };
        let said = paths.label.map(leaf).unwrap_or_default();
        if value::is_missing(said) {
            return Err(reject(Subject::LabelTruth)(Reason::Missing));
        }
        let said = value::text(said, record, text).and_then(truth);
        let is_fraud = said.ok_or_else(|| reject(Subject::LabelTruth)(Reason::UnknownLabel))?;
        let known = leaf(paths.time);
        if value::is_missing(known) {
            return Err(reject(Subject::LabelKnownAt)(Reason::Missing));
        }
        let known_ms = match value::string(known, record, text) {
            Some(text) => instant(text),
            None => Err(Reason::WrongType),
        };
        let known_ms = known_ms.map_err(reject(Subject::LabelKnownAt))?;
        Ok(Label { id_hash, id: &record[id.start as usize..][..id.len as usize], is_fraud, known_ms })
    }
}

/// A time as RFC 3339 has it, or a day, which is known from its midnight UTC on.
fn instant(text: &[u8]) -> Result<i64, Reason> {
    const MIDNIGHT: &[u8] = b"T00:00:00Z";
    let Ok(day) = <&[u8; 10]>::try_from(text) else { return time::rfc3339(text) };
    let mut whole = [0; 20];
    whole[..10].copy_from_slice(day);
    whole[10..].copy_from_slice(MIDNIGHT);
    time::rfc3339(&whole)
}

/// What the members of a label are to a schema of events.
fn of_label(subject: Subject) -> Subject {
    match subject {
        Subject::Id => Subject::LabelEvent,
        Subject::Time => Subject::LabelKnownAt,
        Subject::Label => Subject::LabelTruth,
        Subject::Record
        | Subject::Amount
        | Subject::Currency
        | Subject::Arrival
        | Subject::LabelEvent
        | Subject::LabelTruth
        | Subject::LabelKnownAt
        | Subject::Field(_)
        | Subject::Entity(_)
        | Subject::Marked
        | Subject::Items => subject,
    }
}

/// Labels as a schema of events, of which only id, time and label are read.
fn schema(hash_seed: u64) -> Schema {
    let path = |name: &str| Path(vec![name.to_owned()]);
    Schema {
        id: path("event_id"),
        time: TimeField { path: path("known_at"), form: TimeForm::Text },
        // Not read; no member of its own.
        amount: path("event_id"),
        currency: CurrencySource::Path { path: path("event_id"), default: None },
        arrival: None,
        items: None,
        fields: Vec::new(),
        entities: Vec::new(),
        scale: WindowScale::Common,
        labels: Some(Labels {
            from: LabelsFrom::Column { path: path("label"), delay_ms: 0 },
            maturity_ms: None,
            memory_bytes: 0,
        }),
        skew_ms: 0,
        hash_seed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::hash;

    fn read(record: &str) -> Result<(u64, bool, i64), (Reason, Subject)> {
        let decoded = LabelDecoder::new(7).decode(record.as_bytes(), Form::Label { is_row: false });
        decoded
            .map(|label| (label.id_hash, label.is_fraud, label.known_ms))
            .map_err(|reject| (reject.reason, reject.subject))
    }

    #[test]
    fn a_label_is_its_id_its_word_and_its_time() {
        let of = |id: &str| hash::id(7, id.as_bytes());
        let good = r#"{"event_id":"a","label":"fraud","known_at":"2026-01-01T00:00:02Z","kind":"x"}"#;
        assert_eq!(read(good), Ok((of("a"), true, 1_767_225_602_000)));
        let number = r#"{"kind":null,"label":0,"event_id":17,"known_at":"2026-01-01 00:00:01"}"#;
        assert_eq!(read(number), Ok((of("17"), false, 1_767_225_601_000)));
        let day = r#"{"event_id":"a\u0062","label":false,"known_at":"2026-01-01"}"#;
        assert_eq!(read(day), Ok((of("ab"), false, 1_767_225_600_000)));
    }

    /// The fuzz target `event` does more of it.
    #[test]
    fn bytes_that_were_changed_are_a_label_or_a_reject() {
        let good = br#"{"event_id":"a\u00e9","label":"fraud","known_at":"2026-01-01T00:00:02Z","kind":null}"#;
        let (mut used, form) = (LabelDecoder::new(7), Form::Label { is_row: false });
        let mut labels = 0;
        for at in 0..good.len() {
            for byte in [0, b'"', b'\\', b',', b'9', b'}', 0xff] {
                let mut record = good.to_vec();
                record[at] = byte;
                let found = used.decode(&record, form);
                assert_eq!(found, LabelDecoder::new(7).decode(&record, form));
                labels += u32::from(found.is_ok());
            }
            assert!(used.decode(&good[..at], form).is_err(), "cut to {at}");
        }
        assert!(labels > 20, "{labels} are still labels");
    }

    #[test]
    fn what_is_no_label_says_what_of_it_is_wrong() {
        let with = |id: &str, label: &str, known: &str| {
            read(&format!(r#"{{"event_id":{id},"label":{label},"known_at":{known}}}"#))
        };
        let time = r#""2026-01-01T00:00:02Z""#;
        for (found, wanted) in [
            (with("null", "1", time), (Reason::Missing, Subject::LabelEvent)),
            (with("1.5", "1", time), (Reason::WrongType, Subject::LabelEvent)),
            (with("7", r#""maybe""#, time), (Reason::UnknownLabel, Subject::LabelTruth)),
            (with("7", "[]", time), (Reason::UnknownLabel, Subject::LabelTruth)),
            (with("7", r#""""#, time), (Reason::Missing, Subject::LabelTruth)),
            (with("7", "1", "5"), (Reason::WrongType, Subject::LabelKnownAt)),
            (with("7", "1", r#""soon""#), (Reason::InvalidTime, Subject::LabelKnownAt)),
            (with("7", "1", r#""1999-12-31""#), (Reason::TimeOutOfRange, Subject::LabelKnownAt)),
            (with("7", "1", r#""2026-13-31""#), (Reason::InvalidTime, Subject::LabelKnownAt)),
            (with("7", "1,\"label\":0", time), (Reason::DuplicateMember, Subject::LabelTruth)),
            (read("{"), (Reason::InvalidJson, Subject::Record)),
            (read("[]"), (Reason::NotAnObject, Subject::Record)),
            (read(r#"{"event_id":"a","label":"fraud"}"#), (Reason::Missing, Subject::LabelKnownAt)),
        ] {
            assert_eq!(found, Err(wanted));
        }
    }
}
