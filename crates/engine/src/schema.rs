//! What is mapped: which paths of a record are id, time, amount, keys and fields.
//!
//! configuration -> **schema** -> decode, features
//!
//! Holds: checked. Everything here was found consistent by the configuration; the engine does not check again.
//! Not here: the text form (`config`), how a record is read (`decode`). `samples` are for tests.

#[doc(hidden)]
pub mod samples;

use crate::currency::Currency;

/// A path into a record: member names from the root down.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path(pub Vec<String>);

impl Path {
    /// The path written with dots, for messages.
    pub fn dotted(&self) -> String {
        self.0.join(".")
    }
}

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeForm {
    /// RFC 3339 text; a date-time without a zone (`2018-04-01 00:00:31`, `T` or a space) is UTC. Digits finer than
    /// a millisecond are cut off.
    Text,
    /// A count since 1970 in this many units a second: 1, 1,000, 1,000,000 or 1,000,000,000. A number, or its digits as a string.
    Epoch { per_second: u64 },
}

/// A mapped time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeField {
    pub path: Path,
    pub form: TimeForm,
}

/// Where the currency comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CurrencySource {
    /// The record's ISO 4217 code; where it is absent, null or empty, `default`, or a reject without one.
    Path { path: Path, default: Option<Currency> },
    /// Always this one.
    Constant(Currency),
}

/// What a mapped field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Text (a number: its digits as written; true, false), compared for equality by keyed hash. Null, absent, empty: missing.
    Category,
    /// A JSON number or a decimal string, as an integer in millionths, half to even. Anything else: missing.
    Number,
    /// A time. What cannot be read, or is outside 2000 to 9999: missing.
    Time(TimeForm),
}

/// A mapped field that features use. Its index is its slot in the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name in features and conditions.
    pub name: String,
    pub path: Path,
    pub kind: FieldKind,
}

/// An entity kind and the path or paths of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    pub name: String,
    /// One path, or several whose values together are the key. Where any is absent, null or empty there is no key.
    pub key: Vec<Path>,
}

/// The basket: an array of objects with these members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items {
    pub path: Path,
    pub sku: String,
    pub quantity: String,
    pub price: String,
}

/// What the decoder derives from the basket; these slots follow the fields' where a basket is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum ItemStat {
    /// Number of items (lines of the basket).
    Lines = 0,
    /// Sum of the quantities, in millionths (a line without one counts 1).
    Quantity = 1,
    /// Sum of quantity x price, in millionths of the currency unit.
    Total = 2,
    /// Largest line's share of the total, in millionths, half to even; missing where the total is 0.
    MaxShare = 3,
    /// Largest quantity of one sku (lines of the same sku added), in millionths.
    MaxSkuQuantity = 4,
}

/// Number of [`ItemStat`]s.
pub const ITEM_STATS: usize = 5;

/// How amounts of all currencies come to one scale for windows (docs/semantics.md, 1).
#[derive(Clone, Debug, PartialEq)]
pub enum WindowScale {
    /// One constant currency: its own minor units.
    Constant,
    /// No rates: every amount at four decimal digits.
    Common,
    /// Converted to the minor units of `base`.
    Rates { base: Currency, rates: Vec<Rate> },
}

/// One unit of `currency` is `numerator / denominator` units of the base currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub currency: Currency,
    pub numerator: u64,
    pub denominator: u64,
}

/// `[labels]`: what becomes known of events later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    pub from: LabelsFrom,
    /// An event without a label counts as genuine from event time + this on, ms.
    pub maturity_ms: Option<i64>,
    /// For events whose label does not count yet, bytes by the published formula.
    pub memory_bytes: u64,
}

/// Where labels come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelsFrom {
    /// A history has the label of each event beside it. No feature can reach it.
    Column {
        /// Where it stands in an event's record.
        path: Path,
        /// It counts from event time + this on, ms.
        delay_ms: i64,
    },
    /// Records of their own ([`crate::record::Form::Label`]), each with the time from which it is known.
    Input {
        /// Events are kept for their labels until event time + this, ms.
        span_ms: i64,
    },
}

impl Labels {
    /// The path of the column that has them, if one does.
    pub fn column(&self) -> Option<&Path> {
        match &self.from {
            LabelsFrom::Column { path, .. } => Some(path),
            LabelsFrom::Input { .. } => None,
        }
    }
}

/// Everything that the decoder needs to know.
#[derive(Clone, Debug)]
pub struct Schema {
    pub id: Path,
    pub time: TimeField,
    pub amount: Path,
    pub currency: CurrencySource,
    pub arrival: Option<TimeField>,
    pub items: Option<Items>,
    pub fields: Vec<Field>,
    pub entities: Vec<Entity>,
    pub scale: WindowScale,
    /// What is known of events later; none where no label is ever.
    pub labels: Option<Labels>,
    /// `time.skew`, ms.
    pub skew_ms: i64,
    /// Seed of every keyed hash, from `state.hash_seed`; part of a snapshot's identity.
    pub hash_seed: u64,
}

impl Schema {
    /// The path of the label, where it stands beside each event.
    pub fn label_column(&self) -> Option<&Path> {
        self.labels.as_ref().and_then(Labels::column)
    }

    /// Whether labels are records of their own.
    pub fn has_label_input(&self) -> bool {
        self.labels.as_ref().is_some_and(|labels| matches!(labels.from, LabelsFrom::Input { .. }))
    }

    /// Number of slots of an event: fields, then item statistics, then the label that stands beside it.
    pub fn slots(&self) -> usize {
        let items = if self.items.is_some() { ITEM_STATS } else { 0 };
        self.fields.len() + items + usize::from(self.label_column().is_some())
    }

    /// The slot of the label: 1 for fraud, 0 for genuine.
    pub fn label_slot(&self) -> Option<usize> {
        self.label_column().map(|_| self.slots() - 1)
    }

    /// The slot of an item statistic, where a basket is mapped.
    pub fn item_slot(&self, stat: ItemStat) -> Option<usize> {
        self.items.as_ref().map(|_| self.fields.len() + stat as usize)
    }

    /// Decimal digits of the window scale.
    pub fn scale_digits(&self) -> u32 {
        match &self.scale {
            WindowScale::Constant => match &self.currency {
                CurrencySource::Constant(currency) => currency.digits(),
                CurrencySource::Path { .. } => 4,
            },
            WindowScale::Common => 4,
            WindowScale::Rates { base, .. } => base.digits(),
        }
    }
}
