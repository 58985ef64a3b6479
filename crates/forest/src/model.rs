//! The model as its users see it.
//!
//! bytes -> `format` -> **model** -> `evaluate`, `shap` -> `link`
//!
//! Holds: immutable after loading; the block path and the single-row path give the same bits.
//! Not here: reading formats, layouts of trees.

use crate::calibration::Calibration;
use crate::evaluate::{Evaluator, Rows};
use crate::format::{Logistic, Read, Sum, parse};
use crate::link::{Link, Shape};
use crate::narrow::Edges;
use crate::scratch::Scratch;
use crate::shap::Explainer;
use crate::simd::{Detected, InstructionSet};
use crate::tree::Tree;
use crate::{Format, ModelError};

/// The type in which the trainer computes margin and score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// `XGBoost`.
    F32,
    /// `LightGBM` and logistic models.
    F64,
}

impl Precision {
    /// Appends the shortest text that reads back to the trainer's type, f32 or f64.
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
    /// Before the link (log odds for classifiers): the trainer's raw score.
    pub margin: f64,
    /// After the link, or of a calibrated model what its map gives: what thresholds are compared with. Usually in 0..=1; the
    /// caller checks.
    pub score: f64,
}

/// Size of a model, for people. All are 0 for a logistic model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    pub trees: usize,
    pub leaves: usize,
    /// Splits on the longest way from a root to a leaf.
    pub depth: usize,
}

/// A validated model. Immutable; shared between threads.
#[derive(Debug)]
pub struct Model {
    names: Option<Vec<String>>,
    feature_count: usize,
    precision: Precision,
    summary: Summary,
    link: Link,
    set: Detected,
    edges: Option<Edges>,
    calibration: Option<Calibration>,
    best_rounds: Option<usize>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Forest { evaluator: Box<Evaluator>, explainer: Box<Explainer>, trees: Vec<Tree> },
    Logistic(Logistic),
}

impl Model {
    /// Reads and validates a model file. Sizes are checked before anything is allocated for them.
    pub fn from_bytes(format: Format, bytes: &[u8]) -> Result<Self, ModelError> {
        Ok(match parse(format, bytes)? {
            Read::Forest(forest) => {
                let (precision, base) = match forest.sum {
                    Sum::F32 { base } => (Precision::F32, f64::from(base)),
                    Sum::F64 => (Precision::F64, 0.0),
                };
                let (trees, features) = (forest.trees, forest.feature_count);
                Self {
                    names: forest.names,
                    feature_count: features,
                    precision,
                    summary: summary(&trees),
                    link: forest.link,
                    set: Detected::best(),
                    edges: forest.edges,
                    calibration: None,
                    best_rounds: forest.best_rounds,
                    kind: Kind::Forest {
                        evaluator: Box::new(Evaluator::new(&trees, forest.sum)),
                        explainer: Box::new(Explainer::new(&trees, base)),
                        trees,
                    },
                }
            }
            Read::Logistic(mut logistic) => Self {
                feature_count: logistic.names.len(),
                names: Some(std::mem::take(&mut logistic.names)),
                precision: Precision::F64,
                summary: Summary::default(),
                link: Link::new(Shape::Sigmoid { slope: 1.0 }),
                set: Detected::best(),
                edges: None,
                calibration: None,
                best_rounds: None,
                kind: Kind::Logistic(logistic),
            },
        })
    }

    /// The names the trainer wrote, by position, where it wrote any.
    pub fn feature_names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }

    /// After how many rounds of training it was best, where the file says so and has more. All trees are scored, as the file's own library
    /// does unless it is asked for fewer.
    pub fn best_rounds(&self) -> Option<usize> {
        self.best_rounds
    }

    /// Number of features a row must have at least.
    pub fn feature_count(&self) -> usize {
        self.feature_count
    }

    pub fn precision(&self) -> Precision {
        self.precision
    }

    pub fn summary(&self) -> Summary {
        self.summary
    }

    pub fn link(&self) -> Link {
        self.link
    }

    /// The same model with scores that a map gives of its margins, rounded once to the type of its precision. Margins and
    /// contributions stay as they are.
    #[must_use]
    pub fn calibrated(mut self, map: Calibration) -> Self {
        self.calibration = Some(map);
        self
    }

    /// The map that gives its scores, where it has one.
    pub fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    /// The instruction set chosen at load.
    pub fn instruction_set(&self) -> InstructionSet {
        self.set.set()
    }

    /// Evaluates with at most this instruction set from now on: for tests and measurements.
    #[must_use]
    pub fn limited_to(mut self, set: InstructionSet) -> Self {
        self.set = self.set.at_most(set);
        self
    }

    /// The f32 for a trainer's f64 of a feature: the model says of it what the trainer says of `x`. `XGBoost` rounds to the
    /// nearest itself; for `LightGBM` it is the nearest on the same side of every threshold. `None` where there is no such
    /// f32: two thresholds of `LightGBM` lie between two f32 and `x` between them, or a logistic model, whose every bit
    /// counts.
    pub fn narrow(&self, feature: usize, x: f64) -> Option<f32> {
        match (&self.edges, self.precision) {
            (Some(edges), _) => edges.narrow(feature, x),
            (None, Precision::F32) => Some(x as f32),
            (None, Precision::F64) => (x.is_nan() || f64::from(x as f32) == x).then_some(x as f32),
        }
    }

    /// Buffers for one scoring thread.
    pub fn scratch(&self) -> Scratch {
        let mut scratch = Scratch::default();
        if let Kind::Forest { explainer, .. } = &self.kind {
            Evaluator::prepare(self.feature_count, &mut scratch);
            explainer.prepare(&mut scratch);
        }
        scratch
    }

    /// Scores `out.len()` rows that lie one after the other, `width` values apart (`width >= feature_count`,
    /// surplus columns are ignored). NaN is missing.
    ///
    /// # Panics
    /// Where `rows` is shorter than that, or `width` is less than the model's features.
    pub fn score_rows(&self, rows: &[f32], width: usize, scratch: &mut Scratch, out: &mut [Score]) {
        assert!(width >= self.feature_count, "a row has {width} features, the model {}", self.feature_count);
        assert!(rows.len() / width.max(1) >= out.len() || width == 0, "fewer rows than places for scores");
        match &self.kind {
            Kind::Forest { evaluator, .. } => {
                Evaluator::prepare(self.feature_count, scratch);
                let rows = Rows { values: rows, width, features: self.feature_count };
                evaluator.score_rows(self.set, rows, self.link, scratch, out);
                if let Some(map) = &self.calibration {
                    for score in out {
                        score.score = self.mapped(map, score.margin);
                    }
                }
            }
            Kind::Logistic(logistic) => {
                for (at, out) in out.iter_mut().enumerate() {
                    *out = self.finish(logistic.margin(&rows[at * width..at * width + self.feature_count]));
                }
            }
        }
    }

    /// Scores one row; the same bits as [`score_rows`](Self::score_rows).
    ///
    /// # Panics
    /// Where `row` has fewer values than the model has features.
    pub fn score_one(&self, row: &[f32], _scratch: &mut Scratch) -> Score {
        let row = self.cut(row);
        match &self.kind {
            Kind::Forest { evaluator, .. } => self.finish(evaluator.margin(self.set, row)),
            Kind::Logistic(logistic) => self.finish(logistic.margin(row)),
        }
    }

    /// Exact path-dependent `TreeSHAP`: fills `out[..feature_count]` and returns the bias (the expected margin);
    /// bias and sum are the margin, up to the rounding of the trainer's sum. A logistic model's contributions are
    /// its terms, its bias the intercept.
    ///
    /// # Panics
    /// Where `row` or `out` has fewer places than the model has features.
    pub fn contributions(&self, row: &[f32], scratch: &mut Scratch, out: &mut [f64]) -> f64 {
        let (row, out) = (self.cut(row), &mut out[..self.feature_count]);
        match &self.kind {
            Kind::Forest { explainer, trees, .. } => explainer.exact(self.set, trees, row, scratch, out),
            Kind::Logistic(logistic) => terms(logistic, row, out),
        }
    }

    /// Cheap path contributions (Saabas): each split gives its feature the change of the expected value. Same
    /// shape and sum as [`contributions`](Self::contributions).
    ///
    /// # Panics
    /// Where `row` or `out` has fewer places than the model has features.
    pub fn path_contributions(&self, row: &[f32], _scratch: &mut Scratch, out: &mut [f64]) -> f64 {
        let (row, out) = (self.cut(row), &mut out[..self.feature_count]);
        match &self.kind {
            Kind::Forest { explainer, trees, .. } => explainer.path(trees, row, out),
            Kind::Logistic(logistic) => terms(logistic, row, out),
        }
    }

    fn cut<'a>(&self, row: &'a [f32]) -> &'a [f32] {
        let (given, needed) = (row.len(), self.feature_count);
        assert!(given >= needed, "a row has {given} features, the model {needed}");
        &row[..needed]
    }

    fn finish(&self, margin: f64) -> Score {
        let score = match &self.calibration {
            Some(map) => self.mapped(map, margin),
            None => self.link.apply(margin),
        };
        Score { margin, score }
    }

    fn mapped(&self, map: &Calibration, margin: f64) -> f64 {
        let score = map.score_of(margin);
        match self.precision {
            Precision::F32 => f64::from(score as f32),
            Precision::F64 => score,
        }
    }
}

fn terms(logistic: &Logistic, row: &[f32], out: &mut [f64]) -> f64 {
    for ((term, x), out) in logistic.terms.iter().zip(row).zip(out) {
        *out = term.value(*x);
    }
    logistic.intercept
}

fn summary(trees: &[Tree]) -> Summary {
    Summary {
        trees: trees.len(),
        leaves: trees.iter().map(|tree| tree.leaves.len()).sum(),
        depth: trees.iter().map(|tree| tree.depth).max().unwrap_or(0),
    }
}
