//! Every bound of the engine in one place: unit, reason, and what happens when it is reached.
//!
//! Bounds that a deployment may choose are settings with these values as defaults.

/// Longest record, bytes. Kinesis takes 10 MiB; longer ones are rejected (`too_large`).
pub const RECORD_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Deepest nesting of a record. Checkout events need 4; deeper ones are rejected (`too_deep`).
pub const JSON_DEPTH_MAX: usize = 64;

/// Mapped fields besides id, time, amount and currency. Arbitrary; refused by `check`.
pub const FIELDS_MAX: usize = 256;

/// Entity kinds. A worker's work item names the entity in 8 bits; refused by `check`.
pub const ENTITIES_MAX: usize = 64;

/// Workers. A shard names its worker in 8 bits; refused by `check`.
pub const WORKERS_MAX: usize = 256;

/// Parts of a composite key. Arbitrary; refused by `check`.
pub const KEY_PARTS_MAX: usize = 8;

/// Features. Arbitrary; refused by `check`.
pub const FEATURES_MAX: usize = 4_096;

/// Conditions over an entity's entries: their truth is one bit each of a u64; refused by `check`.
pub const CONDITIONS_MAX: usize = 64;

/// Shortest window, ms.
pub const WINDOW_MS_MIN: i64 = 1_000;

/// Longest window, and longest delay, ms: 90 days.
pub const WINDOW_MS_MAX: i64 = 90 * 24 * 3_600_000;

/// Entries and spans a key keeps by default; past it neighbours are merged (docs/semantics.md, 4). Spans that cannot be merged further
/// number fewer than 3,800 for ages from 1 ms to 180 days, so the default leaves room for entries.
pub const ENTRIES_PER_KEY: usize = 4_096;

/// Values of one distinct column that a key keeps; past it the count stays, saturated.
pub const DISTINCT_VALUES_MAX: usize = 1_024;

/// Largest amount, minor units: 10^13. Larger ones are rejected (`amount_out_of_range`).
pub const AMOUNT_MINOR_MAX: i64 = 10_000_000_000_000;

/// Largest amount in the window scale: 10^15, that of a number field, so that squares and the sum of 2^24 of them stay
/// within 128 bits. An amount past it after conversion is rejected (`amount_out_of_range`).
pub const AMOUNT_SCALED_MAX: i64 = NUMBER_MICRO_MAX;

/// Largest absolute value of a number field, in millionths: 10^15 (a thousand million). Larger numbers are missing.
pub const NUMBER_MICRO_MAX: i64 = 1_000_000_000_000_000;

/// First and last instant of an event, ms: years 2000 to 9999. Outside is a reject.
pub const TIME_MS_MIN: i64 = 946_684_800_000;
/// See [`TIME_MS_MIN`].
pub const TIME_MS_MAX: i64 = 253_402_300_799_999;

/// Shards of the seen ids. Fixed: part of a snapshot's identity.
pub const DEDUPE_SHARDS: usize = 64;

/// Bytes that an event whose label does not count yet counts for, besides 8 for each entity and each mapped field: times, sequence, amount,
/// conditions, and its places in store.
pub const LABEL_BYTES: u64 = 112;

/// The same of an event that is kept for labels of an input: it has three more places, by time, id and maturity.
pub const KEPT_EVENT_BYTES: u64 = 192;

/// Bytes that a label of an input counts for until it begins to count: its row and its place in time.
pub const KEPT_LABEL_BYTES: u64 = 96;

/// Labels of an input that do not count yet take one part in so many of `labels.memory` at most, so that events have the rest for certain. A
/// half: all labels of a history may stand in front of it.
pub const WAITING_LABELS_PART: u64 = 2;

/// A label that is known longer than this after the newest event, ms, is rejected (`known_at_too_far`): 400 days, the longest `labels.span`,
/// so that no event of so far could be kept for it.
pub const LABEL_AHEAD_MS_MAX: i64 = 400 * 24 * 3_600_000;

/// Bytes that one seen id counts for.
pub const DEDUPE_ID_BYTES: usize = 32;

/// Reasons an alert carries at most.
pub const REASONS_MAX: usize = 5;

/// Events over which the share of alerts is taken that decides between exact and cheap reasons.
pub const REASONS_SHARE_EVENTS: usize = 10_000;

/// Longest TOML text (configuration, features file), bytes: the default features file is a hundredth of it. Refused.
pub const DOCUMENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Longest expression, bytes. Arbitrary, far past what anybody reads; refused by `check`.
pub const EXPRESSION_BYTES_MAX: usize = 16 * 1024;

/// Deepest nesting of an expression: some 10 KiB of stack a level where it is read; refused by `check`.
pub const EXPRESSION_DEPTH_MAX: usize = 64;

/// Words and signs of an expression. A chain of operators is as deep a tree as it is long, 0.5 KiB of stack each; refused by `check`.
pub const EXPRESSION_TOKENS_MAX: usize = 1_024;

/// Values that an expression holds at once, on a stack of this size; refused by `check`.
pub const EXPRESSION_STACK_MAX: usize = 32;

/// Words of all lists (`x in ['a', 'b']`) of an expression: their index has 16 bits; refused by `check`.
pub const EXPRESSION_WORDS_MAX: usize = 4_096;
