//! Write what got no decision: where it was, why, and which mapped part is at fault.
//!
//! decode -> **reject** -> sinks
//!
//! Holds: the line carries no part of the record's payload; what it names comes from the configuration.

use super::text::{push_escaped, push_string};
use crate::limits::{
    AMOUNT_MINOR_MAX, AMOUNT_SCALED_MAX, JSON_DEPTH_MAX, LABEL_AHEAD_MS_MAX, RECORD_BYTES_MAX,
};
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

// The texts below name these.
const _: () = assert!(RECORD_BYTES_MAX == 10 << 20 && JSON_DEPTH_MAX == 64);
const _: () = assert!(AMOUNT_MINOR_MAX == 10_i64.pow(13) && AMOUNT_SCALED_MAX == 10_i64.pow(15));
const _: () = assert!(LABEL_AHEAD_MS_MAX == 400 * 24 * 3_600_000);

/// What a subject is called, escaped for JSON: `amount` at path `order.total`.
#[derive(Clone, Debug)]
struct Called {
    text: Vec<u8>,
    /// Whether it is one member of the record itself, so that what occurs again can only be that.
    is_plain: bool,
}

/// What each subject is called.
#[derive(Clone, Debug)]
pub(super) struct Subjects {
    id: Called,
    time: Called,
    amount: Called,
    currency: Called,
    arrival: Called,
    label: Called,
    items: Called,
    fields: Vec<Called>,
    entities: Vec<Called>,
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
        let Reject { reason, subject } = line.reject;
        let (name, is_plain) = self.name(subject);
        out.extend_from_slice(name);
        out.extend_from_slice(match (reason, subject) {
            // Members of its lines too, which have no path of their own.
            (Reason::DuplicateMember, Subject::Items) => {
                b": a member there, on the way there or in one of its lines occurs more than once"
            }
            (Reason::DuplicateMember, _) if !is_plain => {
                b": a member there or on the way there occurs more than once".as_slice()
            }
            _ => fault(reason).as_bytes(),
        });
        out.extend_from_slice(b"\"}\n");
    }

    /// What it is called, and whether it is plain.
    fn name(&self, subject: Subject) -> (&[u8], bool) {
        let called = match subject {
            Subject::Record => return (b"the record", true),
            Subject::Marked => return (b"the record begins with a byte order mark and so", true),
            Subject::LabelEvent => return (LABEL_EVENT.as_bytes(), true),
            Subject::LabelTruth => return (LABEL_TRUTH.as_bytes(), true),
            Subject::LabelKnownAt => return (LABEL_KNOWN_AT.as_bytes(), true),
            Subject::Id => &self.id,
            Subject::Time => &self.time,
            Subject::Amount => &self.amount,
            Subject::Currency => &self.currency,
            Subject::Arrival => &self.arrival,
            Subject::Label => &self.label,
            Subject::Items => &self.items,
            Subject::Field(index) => &self.fields[usize::from(index)],
            Subject::Entity(index) => &self.entities[usize::from(index)],
        };
        (&called.text, called.is_plain)
    }
}

impl Reject {
    /// What is wrong with a label, for people.
    pub fn of_label(self) -> String {
        let what = match self.subject {
            Subject::LabelEvent => LABEL_EVENT,
            Subject::LabelTruth => LABEL_TRUTH,
            Subject::LabelKnownAt => LABEL_KNOWN_AT,
            Subject::Marked => "the record begins with a byte order mark and so",
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

fn called(name: &str, paths: &[&Path]) -> Called {
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
    Called { text: out, is_plain: paths.iter().map(|path| path.0.len()).sum::<usize>() <= 1 }
}

/// What follows the subject; needs no escapes.
fn fault(reason: Reason) -> &'static str {
    match reason {
        Reason::InvalidJson => " is not valid JSON",
        Reason::InvalidRow => {
            " is a row with other columns than the header, or with quotes that do not match"
        }
        Reason::InvalidUtf8 => " is not valid UTF-8",
        Reason::TooLarge => {
            " is larger than the 10 MiB that a record may have, or than a thousand times the compressed payload it was in"
        }
        Reason::TooDeep => " is nested deeper than the 64 levels that a record may have",
        Reason::NotAnObject => " is not a JSON object",
        Reason::DuplicateMember => " occurs more than once",
        Reason::Missing => " is required, and is absent, null or empty",
        Reason::WrongType => " has a type that cannot be read",
        Reason::InvalidTime => " cannot be read as a time in the configured form",
        Reason::TimeOutOfRange => " is outside the years 2000 to 9999",
        Reason::InvalidAmount => " cannot be read as a decimal number",
        Reason::TooManyDecimals => " has more decimals than its currency",
        Reason::NegativeAmount => " is below zero",
        Reason::AmountOutOfRange => {
            " is larger than the 10^13 minor units of its currency that an amount may be, or than 10^15 at the scale of windows"
        }
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
