//! Every limit of a model file, with its reason; what happens at each is a refusal that names the place.
//!
//! Holds: memory of a loaded model is bounded by a constant times the size of its file, plus
//! [`CATEGORY_WORDS_MAX`].

/// Largest model file that is read, in bytes. Arbitrary: a forest of 100 trees of unlimited depth came to
/// 129 MB of JSON, and nothing that must answer in milliseconds is larger.
pub const MODEL_BYTES_MAX: usize = 256 << 20;

/// Features of a model: a node keeps its feature in 16 bits, and scratch columns are sized by it.
pub(crate) const FEATURES_MAX: usize = 1 << 16;

/// Splits on the longest way to a leaf. Derived: a leaf-wise tree that is one chain has a split for each leaf
/// but one, and 255 leaves is `LightGBM`'s usual upper end; twice that.
pub(crate) const DEPTH_MAX: usize = 512;

/// Categories of `XGBoost` are below this (its own bound: codes travel as f32).
pub(crate) const CATEGORY_MAX: i64 = (1 << 24) - 1;

/// All bit sets of a model together, in 32-bit words (64 MiB). One category number in the file can ask for
/// 2 MiB, so the file's size does not bound them.
pub(crate) const CATEGORY_WORDS_MAX: usize = 16 << 20;

/// Nesting of JSON and UBJSON. `XGBoost` needs 8.
pub(crate) const NESTING_MAX: usize = 32;

/// Strings, objects and lists of other things than numbers in one file; each costs some 40 bytes. Derived: a
/// tree has about 20, and 200,000 trees are more than anybody scores.
pub(crate) const VALUES_MAX: usize = 4 << 20;

const _: () = assert!(FEATURES_MAX <= u16::MAX as usize + 1);
const _: () = assert!((CATEGORY_MAX as usize) / 32 < CATEGORY_WORDS_MAX);
