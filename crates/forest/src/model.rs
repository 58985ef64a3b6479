//! The model as its users see it.

use crate::ModelError;

/// Largest model file that is read, in bytes. Arbitrary: a forest of 100 trees of unlimited depth came to
/// 129 MB of JSON, and nothing that must answer in milliseconds is larger.
pub const MODEL_BYTES_MAX: usize = 256 << 20;

/// What a model file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    XgboostJson,
    XgboostUbj,
    LightgbmText,
    LogisticJson,
}

impl Format {
    /// Tells a format by its first bytes, or says what the bytes are instead (a pickle, an archive …).
    pub fn sniff(bytes: &[u8]) -> Result<Self, ModelError> {
        let _ = bytes;
        Err(ModelError::Foreign { what: "not implemented" })
    }
}

/// The type in which the trainer computes margin and score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    F32,
    F64,
}

impl Precision {
    /// Appends the shortest text that reads back to the trainer's type: as f32 or f64.
    pub fn write(self, value: f64, out: &mut Vec<u8>) {
        let mut buffer = zmij::Buffer::new();
        let text = match self {
            Self::F32 => buffer.format(value as f32),
            Self::F64 => buffer.format(value),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

/// What a model says of a row. For [`Precision::F32`] both are f32 values, widened.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Score {
    /// Before the link (log odds for classifiers).
    pub margin: f64,
    /// After the link: what thresholds are compared with. Usually in 0..=1; the caller checks.
    pub score: f64,
}

/// Size of a model, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    pub trees: usize,
    pub leaves: usize,
    /// Splits on the longest way from a root to a leaf.
    pub depth: usize,
}

/// Buffers for one thread that scores, made for one model. Reused, so that no call allocates.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    _private: (),
}

/// A validated model. Immutable; shared between threads.
#[derive(Debug)]
pub struct Model {
    _private: (),
}

impl Model {
    /// Reads and validates a model file.
    pub fn from_bytes(format: Format, bytes: &[u8]) -> Result<Self, ModelError> {
        let _ = format;
        if bytes.len() > MODEL_BYTES_MAX {
            return Err(ModelError::TooLarge { bytes: bytes.len(), max: MODEL_BYTES_MAX });
        }
        Err(ModelError::Foreign { what: "not implemented" })
    }

    /// The names the trainer wrote, by position, where it wrote any.
    pub fn feature_names(&self) -> Option<&[String]> {
        None
    }

    /// Number of features a row must have at least.
    pub fn feature_count(&self) -> usize {
        0
    }

    pub fn precision(&self) -> Precision {
        Precision::F32
    }

    pub fn summary(&self) -> Summary {
        Summary::default()
    }

    /// Buffers for one scoring thread.
    pub fn scratch(&self) -> Scratch {
        Scratch::default()
    }

    /// Scores `out.len()` rows that lie one after the other, `width` values apart (`width >= feature_count`,
    /// surplus columns are ignored). NaN is missing.
    pub fn score_rows(&self, rows: &[f32], width: usize, scratch: &mut Scratch, out: &mut [Score]) {
        let _ = (rows, width, scratch, out);
    }

    /// Scores one row; the same bits as [`score_rows`](Self::score_rows).
    pub fn score_one(&self, row: &[f32], scratch: &mut Scratch) -> Score {
        let _ = (row, scratch);
        Score::default()
    }

    /// Exact path-dependent `TreeSHAP`: fills `out[..feature_count]` and returns the bias (the expected margin);
    /// bias and sum are the margin.
    pub fn contributions(&self, row: &[f32], scratch: &mut Scratch, out: &mut [f64]) -> f64 {
        let _ = (row, scratch, out);
        0.0
    }

    /// Cheap path contributions (Saabas): each split gives its feature the change of the expected value. Same
    /// shape and sum as [`contributions`](Self::contributions).
    pub fn path_contributions(&self, row: &[f32], scratch: &mut Scratch, out: &mut [f64]) -> f64 {
        let _ = (row, scratch, out);
        0.0
    }
}
