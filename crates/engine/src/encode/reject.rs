//! Write what got no decision: where it was, why, and which mapped part is at fault.
//!
//! decode -> **reject** -> sinks
//!
//! Holds: the line carries no part of the record's payload; what it names comes from the configuration.

use super::text::{push_escaped, push_string};
use crate::record::PlaceRef;
use crate::reject::{Reason, Reject, Subject};
use crate::schema::{CurrencySource, Path, Schema};

/// A reject and its place.
#[derive(Clone, Copy, Debug)]
pub struct RejectLine<'a> {
    /// The file or shard.
    pub partition: &'a str,
    pub place: PlaceRef<'a>,
    pub sequence: u64,
    pub reject: Reject,
}

const LABEL_EVENT: &str = "`event_id` of the label";
const LABEL_TRUTH: &str = "`label` of the label";
const LABEL_KNOWN_AT: &str = "`known_at` of the label";

/// What each subject is called, escaped for JSON: `amount` at path `order.total`.
#[derive(Clone, Debug)]
pub(super) struct Subjects {
    id: Vec<u8>,
    time: Vec<u8>,
    amount: Vec<u8>,
    currency: Vec<u8>,
    arrival: Vec<u8>,
    label: Vec<u8>,
    items: Vec<u8>,
    fields: Vec<Vec<u8>>,
    entities: Vec<Vec<u8>>,
}

impl Subjects {
    pub(super) fn new(schema: &Schema) -> Self {
        Self {
            id: called("`id`", &[&schema.id]),
            time: called("`time`", &[&schema.time.path]),
            amount: called("`amount`", &[&schema.amount]),
            currency: match &schema.currency {
                CurrencySource::Path { path, .. } => called("`currency`", &[path]),
                CurrencySource::Constant(_) => called("`currency`", &[]),
            },
            label: called("`label`", schema.label_column().into_iter().collect::<Vec<_>>().as_slice()),
            arrival: called(
                "`arrival`",
                schema.arrival.iter().map(|time| &time.path).collect::<Vec<_>>().as_slice(),
            ),
            items: called(
                "`items`",
                schema.items.iter().map(|items| &items.path).collect::<Vec<_>>().as_slice(),
            ),
            fields: schema
                .fields
                .iter()
                .map(|field| called(&format!("field `{}`", field.name), &[&field.path]))
                .collect(),
            entities: schema
                .entities
                .iter()
                .map(|entity| {
                    called(&format!("key of `{}`", entity.name), &entity.key.iter().collect::<Vec<_>>())
                })
                .collect(),
        }
    }

    /// Appends the reject's line.
    pub(super) fn push(&self, out: &mut Vec<u8>, line: &RejectLine<'_>) {
        let mut number = itoa::Buffer::new();
        out.extend_from_slice(b"{\"partition\":");
        push_string(out, line.partition);
        match line.place {
            PlaceRef::Row { line, offset } => {
                out.extend_from_slice(b",\"position\":{\"line\":");
                out.extend_from_slice(number.format(line).as_bytes());
                out.extend_from_slice(b",\"offset\":");
                out.extend_from_slice(number.format(offset).as_bytes());
            }
            PlaceRef::Sequence { number: digits, sub } => {
                // More digits than a JSON number keeps everywhere: a text.
                out.extend_from_slice(b",\"position\":{\"sequence_number\":\"");
                out.extend_from_slice(digits);
                out.extend_from_slice(b"\",\"sub_sequence\":");
                out.extend_from_slice(number.format(sub).as_bytes());
            }
        }
        out.extend_from_slice(b"},\"sequence\":");
        out.extend_from_slice(number.format(line.sequence).as_bytes());
        out.extend_from_slice(b",\"reason\":\"");
        out.extend_from_slice(line.reject.reason.code().as_bytes());
        out.extend_from_slice(b"\",\"detail\":\"");
        out.extend_from_slice(self.name(line.reject.subject));
        out.extend_from_slice(fault(line.reject.reason).as_bytes());
        out.extend_from_slice(b"\"}\n");
    }

    fn name(&self, subject: Subject) -> &[u8] {
        match subject {
            Subject::Record => b"the record",
            Subject::Id => &self.id,
            Subject::Time => &self.time,
            Subject::Amount => &self.amount,
            Subject::Currency => &self.currency,
            Subject::Arrival => &self.arrival,
            Subject::Label => &self.label,
            Subject::LabelEvent => LABEL_EVENT.as_bytes(),
            Subject::LabelTruth => LABEL_TRUTH.as_bytes(),
            Subject::LabelKnownAt => LABEL_KNOWN_AT.as_bytes(),
            Subject::Items => &self.items,
            Subject::Field(index) => &self.fields[usize::from(index)],
            Subject::Entity(index) => &self.entities[usize::from(index)],
        }
    }
}

impl Reject {
    /// What is wrong with a label, for people.
    pub fn of_label(self) -> String {
        let what = match self.subject {
            Subject::LabelEvent => LABEL_EVENT,
            Subject::LabelTruth => LABEL_TRUTH,
            Subject::LabelKnownAt => LABEL_KNOWN_AT,
            Subject::Record
            | Subject::Id
            | Subject::Time
            | Subject::Amount
            | Subject::Currency
            | Subject::Arrival
            | Subject::Label
            | Subject::Field(_)
            | Subject::Entity(_)
            | Subject::Items => "the record",
        };
        format!("{what}{}", fault(self.reason))
    }
}

fn called(name: &str, paths: &[&Path]) -> Vec<u8> {
    let mut out = Vec::new();
    push_escaped(&mut out, name);
    for (at, path) in paths.iter().enumerate() {
        let before = match (at, paths.len()) {
            (0, 1) => " at path `",
            (0, _) => " at paths `",
            _ => ", `",
        };
        out.extend_from_slice(before.as_bytes());
        push_escaped(&mut out, &path.dotted());
        out.push(b'`');
    }
    out
}

/// What follows the subject; needs no escapes.
fn fault(reason: Reason) -> &'static str {
    match reason {
        Reason::InvalidJson => " is not valid JSON",
        Reason::InvalidRow => {
            " is a row with other columns than the header, or with quotes that do not match"
        }
        Reason::InvalidUtf8 => " is not valid UTF-8",
        Reason::TooLarge => " is larger than a record may be",
        Reason::TooDeep => " is nested deeper than a record may be",
        Reason::NotAnObject => " is not a JSON object",
        Reason::DuplicateMember => " occurs more than once",
        Reason::Missing => " is required, and is absent, null or empty",
        Reason::WrongType => " has a type that cannot be read",
        Reason::InvalidTime => " cannot be read as a time in the configured form",
        Reason::TimeOutOfRange => " is outside the years 2000 to 9999",
        Reason::InvalidAmount => " cannot be read as a decimal number",
        Reason::TooManyDecimals => " has more decimals than its currency",
        Reason::NegativeAmount => " is below zero",
        Reason::AmountOutOfRange => " is larger than an amount may be",
        Reason::UnknownCurrency => " is not an ISO 4217 code",
        Reason::NoRate => " has no rate to the base currency in the configuration",
        Reason::InvalidAggregate => {
            " is an aggregate of the Kinesis Producer Library that cannot be taken apart"
        }
        Reason::InvalidCompression => " is compressed and cannot be decompressed",
        Reason::UnknownLabel => " is neither fraud nor legit",
        Reason::KnownAtTooFar => " is more than 400 days after the newest event",
        Reason::Panic => " could not be decoded because of a fault in cartguard; please report it",
    }
}
