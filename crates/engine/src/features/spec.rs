//! The definitions of features, checked, in the order of the features file.
//!
//! `file` reads the text form into these; `plan` compiles them for the batch.

use super::expression::Program;
use super::sentence::Sentences;

/// All features and the conditions that they name.
#[derive(Clone, Debug, Default)]
pub struct FeatureSet {
    /// In the order of the features file, which is the order of arrays in outputs.
    pub features: Vec<Feature>,
    /// Conditions, evaluated once an event; windows count the entries that met them.
    pub conditions: Vec<Condition>,
    /// All flags, in the order of the file; those that windows count are among the conditions too.
    pub flags: Vec<Condition>,
}

/// A named truth about an event: of its own fields, or, where it is a flag, of its features and other flags too.
#[derive(Clone, Debug)]
pub struct Condition {
    pub name: String,
    pub program: Program,
    /// Index in [`FeatureSet::flags`], of a flag.
    pub flag: Option<usize>,
}

/// One feature.
#[derive(Clone, Debug)]
pub struct Feature {
    /// `customer.count_10m`
    pub name: String,
    pub definition: Definition,
    /// Replaces a missing value.
    pub or: Option<f64>,
    /// What it means, one line of plain language.
    pub meaning: String,
    /// `events`, `EUR`, `seconds` …; empty for a plain number.
    pub unit: String,
    /// What an alert's reason says. Made from the definition where the file says nothing.
    pub reason: Sentences,
    /// The code of an alert's reason, such as `CUSTOMER_COUNT`.
    pub code: String,
}

/// How a feature is computed.
#[derive(Clone, Debug)]
pub enum Definition {
    /// From the event's fields, features of any place in the file and flags (no circles).
    Expression(Program),
    /// Over the history of a key.
    Window(WindowFeature),
}

/// A feature over the history of an entity's key.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowFeature {
    /// Index in the schema's entities.
    pub entity: usize,
    pub aggregate: Aggregate,
    /// W, ms; none for `run` and the unbounded `seconds_since_first` and `seconds_since_last`.
    pub window_ms: Option<i64>,
    /// d, ms.
    pub delay_ms: i64,
    /// Whether the current event counts.
    pub inclusive: bool,
    /// Events whose label is known and is this, instead of all events.
    pub label: Option<LabelIs>,
    /// Index in [`FeatureSet::conditions`]: only entries that met it count. For `share`, `last` and `run` of all events: the condition itself.
    pub condition: Option<usize>,
}

/// What a window wants of an event's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelIs {
    Known,
    Fraud,
    Genuine,
}

/// What is taken over the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    Count,
    Sum(Column),
    Mean(Column),
    Min(Column),
    Max(Column),
    Std(Column),
    ZScore(Column),
    Distinct(Value),
    Share,
    /// Whether the newest entry meets the condition.
    Last,
    Run,
    SecondsSinceLast,
    SecondsSinceFirst,
    /// The aggregate over the window divided by the same over `over_ms`.
    Ratio {
        of: RatioOf,
        over_ms: i64,
    },
}

/// What a ratio divides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RatioOf {
    Count,
    Sum(Column),
    Mean(Column),
}

/// A numeric column of a key's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Column {
    /// The amount, in the window scale.
    Amount,
    /// A slot of kind number, in millionths.
    Slot(u16),
}

/// What a distinct count tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// The key of another entity.
    Entity(u16),
    /// A slot of kind category (its hash), number or time (its value).
    Slot(u16),
    /// The amount, in the window scale.
    Amount,
}
