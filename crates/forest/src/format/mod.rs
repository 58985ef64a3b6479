//! From the bytes of a model file to validated trees or weights.
//!
//! bytes -> **format** -> `tree` -> `model`
//!
//! Holds: every format yields the same [`Parsed`]; size is checked before anything is read; whatever the bytes
//! are, reading ends in a model or in an error that names the place.
//! Not here: files. To add a format: one file here that yields [`Parsed`], an arm in [`parse`] and in `sniff`.

mod json;
mod lightgbm;
mod logistic;
mod sniff;
mod ubj;
mod value;
mod xgboost;

use crate::ModelError;
use crate::limits::{CATEGORY_WORDS_MAX, MODEL_BYTES_MAX};
use crate::link::Link;
use crate::narrow::Edges;
use crate::tree::Tree;

pub(crate) use logistic::Logistic;

/// What a model file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `XGBoost`'s JSON, of its versions 1.0 and later.
    XgboostJson,
    /// `XGBoost`'s UBJSON (`.ubj`), of its versions 1.6 and later.
    XgboostUbj,
    /// `LightGBM`'s text model, of its versions v2 to v4.
    LightgbmText,
    /// Our own JSON of a logistic model; see `format/logistic.rs`.
    LogisticJson,
}

/// A forest as read from a file.
pub(crate) struct Parsed {
    pub(crate) names: Option<Vec<String>>,
    pub(crate) feature_count: usize,
    pub(crate) sum: Sum,
    pub(crate) link: Link,
    pub(crate) trees: Vec<Tree>,
    /// Where the trainer compares in f64.
    pub(crate) edges: Option<Edges>,
    /// The first rounds, where the file says that training was best after these.
    pub(crate) best_rounds: Option<usize>,
}

/// How the trees' values become a margin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Sum {
    /// `XGBoost`: the base first, then tree by tree, in f32.
    F32 { base: f32 },
    /// `LightGBM`: from zero, tree by tree, in f64.
    F64,
}

pub(crate) enum Read {
    Forest(Parsed),
    Logistic(Logistic),
}

pub(crate) fn parse(format: Format, bytes: &[u8]) -> Result<Read, ModelError> {
    if bytes.len() > MODEL_BYTES_MAX {
        return Err(ModelError::TooLarge { bytes: bytes.len(), max: MODEL_BYTES_MAX });
    }
    if let Some(what) = sniff::foreign(bytes) {
        return Err(ModelError::Foreign { what });
    }
    Ok(match format {
        Format::XgboostJson => Read::Forest(xgboost::read(&json::parse(bytes)?)?),
        Format::XgboostUbj => Read::Forest(xgboost::read(&ubj::parse(bytes)?)?),
        Format::LightgbmText => Read::Forest(lightgbm::read(bytes)?),
        Format::LogisticJson => Read::Logistic(logistic::read(bytes)?),
    })
}

/// Counts the words of all bit sets of a model against the limit.
#[derive(Debug, Default)]
pub(crate) struct Words {
    used: usize,
}

impl Words {
    fn take(&mut self, words: usize) -> Result<(), String> {
        self.used += words;
        if self.used > CATEGORY_WORDS_MAX {
            return Err(format!("the model's categories need more than {} MiB", CATEGORY_WORDS_MAX >> 18));
        }
        Ok(())
    }
}
