//! What goes into the oracle and what comes out: plain data, so that a test can map both sides of it.
//!
//! Times and lengths are whole milliseconds. Indices count from 0 in the order of configuration.

use crate::exact::Exact;

/// Everything of the configuration that decides a feature value.
pub struct Settings {
    pub bounds: Bounds,
    /// Per layer and entity kind: what the memory formula counts (§5).
    pub sizes: Vec<Vec<Sizes>>,
    /// Their conditions are numbered behind those of events.
    pub flags: Vec<Flag>,
    /// None where no label is ever known.
    pub labels: Option<Labels>,
    /// Per numeric column of an event.
    pub columns: Vec<Column>,
    /// Entity kind and key to a shard of the state, below `bounds.shards` (§2).
    pub shard_of: Box<dyn Fn(usize, u64) -> usize>,
    /// Entity kind and key to a part of the sweep, below 1,024 (§5).
    pub part_of: Box<dyn Fn(usize, u64) -> u64>,
    /// Id to a shard of the seen ids, below `bounds.dedupe_shards` (§1).
    pub shard_of_id: Box<dyn Fn(u64) -> usize>,
}

/// The limits of `[state]`, `[time]` and `[dedupe]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// `state.shards`
    pub shards: usize,
    /// `state.memory`, bytes of all shards together by the formula of §5.
    pub memory: u64,
    /// `state.entries_per_key`: entries and spans of a key, before it merges (§4).
    pub entries_per_key: usize,
    /// Values of a distinct column that a key holds (1,024 in §2).
    pub distinct_max: usize,
    /// `state.forget_after`
    pub forget_after_ms: i64,
    /// `time.lateness`
    pub lateness_ms: i64,
    /// `state.sweep_every`, in sequence numbers.
    pub sweep_every: u64,
    /// `dedupe.span`
    pub dedupe_span_ms: i64,
    /// Shards of the seen ids (64 in §1).
    pub dedupe_shards: usize,
    /// Ids that such a shard holds (`dedupe.memory / 64 / 32` in §1).
    pub dedupe_ids_per_shard: usize,
}

impl Default for Bounds {
    /// Limits that no short history reaches.
    fn default() -> Self {
        Self {
            shards: 64,
            memory: 1 << 40,
            entries_per_key: 4096,
            distinct_max: 1024,
            forget_after_ms: 400 * 86_400_000,
            lateness_ms: 3_600_000,
            sweep_every: 100_000,
            dedupe_span_ms: 86_400_000,
            dedupe_shards: 64,
            dedupe_ids_per_shard: 1 << 20,
        }
    }
}

/// Bytes by the formula of §5, for one entity kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub key_bytes: u64,
    pub entry_bytes: u64,
    pub span_bytes: u64,
    pub value_bytes: u64,
}

/// A numeric column of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The integers are in units of 10^-digits: 2 for cents, 6 for other numbers (§1).
    pub digits: u32,
    /// Sums, minima and maxima of money are published exactly (§3).
    pub money: bool,
}

/// A feature over an entity's past.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    pub entity: usize,
    pub aggregate: Aggregate,
    /// `W`. None for seconds since without a window; not looked at for `run` (its `W` is the entity's `L`).
    pub window_ms: Option<i64>,
    /// `d`
    pub delay_ms: i64,
    pub inclusive: bool,
    /// `where`; for share, last and run of all events the condition to be met.
    pub condition: Option<usize>,
    /// Events whose label is known and is this, instead of all events.
    pub label: Option<LabelIs>,
    /// Replaces a missing value as the last step.
    pub or: Option<f64>,
}

/// A condition over an event's fields, its features and other flags (§6): it holds where `left > factor * right`, and `and` does.
#[derive(Clone, Debug, PartialEq)]
pub struct Flag {
    pub left: Operand,
    pub factor: f64,
    pub right: Operand,
    /// Another flag, and whether it is to hold or not to.
    pub and: Option<(usize, bool)>,
}

/// When labels begin to count (§7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    pub from: LabelsFrom,
    /// `labels.maturity`
    pub maturity_ms: Option<i64>,
}

/// Where labels come from (§7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelsFrom {
    /// They stand beside their events.
    Column {
        /// `labels.delay`
        delay_ms: i64,
        /// Events that wait for their label, per shard of ids.
        waiting_max: usize,
    },
    /// They are records of their own.
    Input {
        /// `labels.span`
        span_ms: i64,
        /// Room per shard of ids, and what an event and a label take of it.
        bytes: u64,
        event_bytes: u64,
        label_bytes: u64,
    },
}

/// A label that is a record of its own (§7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelLine {
    pub sequence: u64,
    /// Of the event, as [`Event::id`].
    pub id: u64,
    pub is_fraud: bool,
    pub known_ms: i64,
}

/// What a window wants of an event's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelIs {
    Known,
    Fraud,
    Genuine,
}

/// A number of an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operand {
    Constant(f64),
    /// Numeric column 0, in its unit.
    Amount,
    /// The index of a definition: its value as it is published.
    Feature(usize),
}

/// Numbers are indices: of a numeric column, or of a distinct value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aggregate {
    Count,
    Sum(usize),
    Mean(usize),
    Min(usize),
    Max(usize),
    Std(usize),
    Zscore(usize),
    Distinct(usize),
    Share,
    Last,
    /// `of` over the window, divided by `of` over `over_ms`.
    Ratio {
        of: Box<Aggregate>,
        over_ms: i64,
    },
    Run,
    SecondsSinceLast,
    SecondsSinceFirst,
}

/// A decoded event. Rejects use up a sequence number and are not shown to the oracle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub sequence: u64,
    /// The event id, or its hash.
    pub id: u64,
    /// `t`, already held to arrival + skew (see [`event_time`]).
    pub time_ms: i64,
    /// Per entity kind; None where absent, null or empty.
    pub keys: Vec<Option<u64>>,
    /// Per numeric column, at its scale.
    pub columns: Vec<Option<i64>>,
    /// Per field of which different values are counted.
    pub values: Vec<Option<u64>>,
    /// Per condition over fields; false where an operand is missing. The oracle adds the flags.
    pub conditions: Vec<bool>,
    /// The label that is beside it, fraud or not.
    pub label: Option<bool>,
}

/// §1 "Event time": `t`, and whether the event is marked early.
pub fn event_time(time_ms: i64, arrival_ms: Option<i64>, skew_ms: i64) -> (i64, bool) {
    match arrival_ms {
        Some(arrival) if time_ms > arrival + skew_ms => (arrival + skew_ms, true),
        Some(_) | None => (time_ms, false),
    }
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Duplicate,
    /// The lists are per definition.
    Accepted {
        values: Vec<Value>,
        late: bool,
        saturated: Vec<bool>,
        degraded: Vec<bool>,
    },
}

/// A feature's value as it is published.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    Missing,
    /// `scaled / 10^digits`: counts and money.
    Exact {
        scaled: i128,
        digits: u32,
    },
    /// Everything else, rounded once.
    Real(f32),
}

impl Value {
    /// As an expression reads it (§3): counts and money exactly, others as their f32; None where missing.
    pub fn as_operand(self) -> Option<f64> {
        match self {
            Self::Missing => None,
            Self::Exact { scaled, digits } => Some(scaled as f64 / 10f64.powi(digits as i32)),
            Self::Real(real) => (!real.is_nan()).then(|| f64::from(real)),
        }
    }

    /// For the model: rounded to f32, NaN where missing.
    pub fn to_f32(self) -> f32 {
        match self {
            Self::Missing => f32::NAN,
            Self::Exact { scaled, digits } => Exact::decimal(scaled, digits).to_f32(),
            Self::Real(real) => real,
        }
    }
}

/// Floats are compared by their bits.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Missing, Self::Missing) => true,
            (Self::Exact { scaled: a, digits: d }, Self::Exact { scaled: b, digits: e }) => (a, d) == (b, e),
            (Self::Real(a), Self::Real(b)) => a.to_bits() == b.to_bits(),
            (Self::Missing | Self::Exact { .. } | Self::Real(_), _) => false,
        }
    }
}

/// What the state holds, and what it has lost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub keys: u64,
    pub entries: u64,
    pub spans: u64,
    /// Distinct values of all keys and columns.
    pub values: u64,
    /// By the formula of §5.
    pub bytes: u64,
    /// Keys removed for want of memory.
    pub evicted_keys: u64,
    /// Ids that lost their place.
    pub evicted_ids: u64,
    /// Ids held.
    pub ids: u64,
    /// Events whose label does not count yet or that are kept for labels, and labels that do not count yet.
    pub waiting: u64,
    /// Labels, and events kept for them, that found no place, and labels that came again when their event lay in a span.
    pub lost_labels: u64,
    /// Labels that began to count when their event was not kept.
    pub labels_without_event: u64,
}
