//! Exact sliding windows over the history of a key.
//!
//! decode -> dedupe -> **window** -> score
//!
//! docs/semantics.md says what every value is. Reading order: `slot` and `layout` (what is kept), `arena` (where),
//! `history` (find and total), `sliding` (totals that are kept), `read` (features), `write` and `merge` (change).
//!
//! Not here: which key an event has (`decode`), where keys live and when they are forgotten (`state`), which features exist
//! (`features`).

pub(crate) mod arena;
pub(crate) mod capture;
pub(crate) mod dictionary;
pub(crate) mod distinct;
pub(crate) mod history;
pub(crate) mod layout;
pub(crate) mod merge;
pub(crate) mod pages;
pub(crate) mod prefetch;
pub(crate) mod read;
pub(crate) mod reserve;
pub(crate) mod sliding;
pub(crate) mod slot;
pub(crate) mod totals;
pub(crate) mod value;
pub(crate) mod walk;
pub(crate) mod write;
