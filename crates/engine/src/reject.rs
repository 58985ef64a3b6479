//! Why a record got no decision.
//!
//! A reject is data, not an error: it is counted by reason, kept with its place, and the stream goes on. It
//! never carries any part of the payload.

/// The reason code of a reject; `code()` is what outputs and metrics show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// Not a JSON text (syntax, numbers such as `NaN`, text after the object, an empty record).
    InvalidJson,
    /// A row of a table that cannot be read: other columns than the header, quotes that do not match.
    InvalidRow,
    /// Bytes that are not UTF-8.
    InvalidUtf8,
    /// Longer than `RECORD_BYTES_MAX`.
    TooLarge,
    /// Nested deeper than `JSON_DEPTH_MAX`.
    TooDeep,
    /// JSON, but not an object.
    NotAnObject,
    /// A mapped path occurs twice.
    DuplicateMember,
    /// A required field is absent, null or empty.
    Missing,
    /// A required field has a type that cannot be read.
    WrongType,
    /// The event time cannot be read.
    InvalidTime,
    /// Event time outside the years 2000 to 9999.
    TimeOutOfRange,
    /// The amount cannot be read as a decimal number.
    InvalidAmount,
    /// More digits than the currency's minor unit has.
    TooManyDecimals,
    /// Below zero.
    NegativeAmount,
    /// Above `AMOUNT_MINOR_MAX`.
    AmountOutOfRange,
    /// Not an ISO 4217 code.
    UnknownCurrency,
    /// Rates are configured and this currency has none.
    NoRate,
    /// A KPL aggregate whose parts cannot be told apart.
    InvalidAggregate,
    /// A compressed payload that cannot be decompressed.
    InvalidCompression,
    /// The decoder panicked on it; a bug of ours, the record is passed by.
    Panic,
    /// A label that says neither fraud nor legit.
    UnknownLabel,
    /// A label that is known later than `LABEL_AHEAD_MS_MAX` after stream time.
    KnownAtTooFar,
}

impl Reason {
    /// Every reason, in order.
    pub const ALL: [Self; 22] = [
        Self::InvalidJson,
        Self::InvalidRow,
        Self::InvalidUtf8,
        Self::TooLarge,
        Self::TooDeep,
        Self::NotAnObject,
        Self::DuplicateMember,
        Self::Missing,
        Self::WrongType,
        Self::InvalidTime,
        Self::TimeOutOfRange,
        Self::InvalidAmount,
        Self::TooManyDecimals,
        Self::NegativeAmount,
        Self::AmountOutOfRange,
        Self::UnknownCurrency,
        Self::NoRate,
        Self::InvalidAggregate,
        Self::InvalidCompression,
        Self::Panic,
        Self::UnknownLabel,
        Self::KnownAtTooFar,
    ];

    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::InvalidRow => "invalid_row",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::TooLarge => "too_large",
            Self::TooDeep => "too_deep",
            Self::NotAnObject => "not_an_object",
            Self::DuplicateMember => "duplicate_member",
            Self::Missing => "missing_field",
            Self::WrongType => "wrong_type",
            Self::InvalidTime => "invalid_time",
            Self::TimeOutOfRange => "time_out_of_range",
            Self::InvalidAmount => "invalid_amount",
            Self::TooManyDecimals => "too_many_decimals",
            Self::NegativeAmount => "negative_amount",
            Self::AmountOutOfRange => "amount_out_of_range",
            Self::UnknownCurrency => "unknown_currency",
            Self::NoRate => "no_rate",
            Self::InvalidAggregate => "invalid_aggregate",
            Self::InvalidCompression => "invalid_compression",
            Self::Panic => "panic",
            Self::UnknownLabel => "unknown_label",
            Self::KnownAtTooFar => "known_at_too_far",
        }
    }
}

/// Which part of the schema a reject is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The record as a whole.
    Record,
    /// The same, where a byte order mark stands in front of it.
    Marked,
    /// `[event] id`.
    Id,
    /// `[event] time`.
    Time,
    /// `[event] amount`.
    Amount,
    /// `[event] currency`.
    Currency,
    /// `[event] arrival`.
    Arrival,
    /// `[labels] column`.
    Label,
    /// `event_id` of a label that is a record of its own.
    LabelEvent,
    /// Its `label`.
    LabelTruth,
    /// Its `known_at`.
    LabelKnownAt,
    /// The field of this index in the schema.
    Field(u16),
    /// A key part of the entity of this index.
    Entity(u16),
    /// The basket.
    Items,
}

/// Why a record got no decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    /// What is wrong.
    pub reason: Reason,
    /// With which part of the record.
    pub subject: Subject,
}

impl Reject {
    /// A reject of the record as a whole.
    pub fn record(reason: Reason) -> Self {
        Self { reason, subject: Subject::Record }
    }
}
