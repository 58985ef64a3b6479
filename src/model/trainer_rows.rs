//! Hold a model to its trainer: rows with the trainer's own scores.
//!
//! CSV or Parquet -> **`trainer_rows`** -> `golden`
//!
//! Holds: a difference is told by its row, ours and theirs. Numbers come to f32 by `Model::narrow`. A forest's margin is
//! the trainer's bit for bit, and so is its score; where the margin is given too, the score may be one unit in the last
//! place away, since that is the exponential of the trainer's machine and not the model. A logistic model has no trainer
//! whose order of sums could be kept: there it is [`LOGISTIC_TOLERANCE`].
//! Not here: reading files (io).

use super::fault::Fault;
use super::golden::{Golden, number, words};
use cartguard_forest::{Format, Model, Precision, Score};
use cartguard_io::RowReader;
use std::path::Path;

/// Rows read at once. Arbitrary: 90 numbers of 4,096 rows lie in a second-level cache.
const BATCH: usize = 4096;

/// Of a logistic model's margin and score, relative to 1 or to the margin where that is larger. Derived: 65,536
/// terms, each rounded in f64 (1e-16), in another order.
const LOGISTIC_TOLERANCE: f64 = 1e-11;

/// What was compared.
pub(super) struct Compared {
    /// Rows of the file.
    pub(super) rows: u64,
    /// Of them, those whose score was a unit in the last place away.
    pub(super) last_place: u64,
    /// A spread of them, with our scores.
    pub(super) golden: Golden,
}

/// Compares all rows of a file.
pub(super) fn compare(
    path: &Path,
    format: Format,
    model: &Model,
    features: &[String],
) -> Result<Compared, Fault> {
    let mut rows = Rows::open(path, features)?;
    let width = features.len();
    let rows_max = Golden::rows_max(width);
    let (mut scratch, mut ours) = (model.scratch(), Vec::new());
    let mut compared = Compared { rows: 0, last_place: 0, golden: Golden::new(width) };
    // A row is kept where its number is a multiple of this.
    let mut stride = 1;
    while rows.next_batch(model)? {
        ours.resize(rows.scores.len(), Score::default());
        model.score_rows(&rows.features, width, &mut scratch, &mut ours);
        for (at, (ours, theirs)) in ours.iter().zip(&rows.scores).enumerate() {
            let row = compared.rows;
            compared.rows += 1;
            match judge(*ours, *theirs, model.precision(), format) {
                Judged::Same => {}
                Judged::LastPlace => compared.last_place += 1,
                Judged::Other => {
                    return Err(Fault::refused(
                        path,
                        difference(row, *ours, *theirs, model.precision(), &rows),
                    ));
                }
            }
            if row.is_multiple_of(stride) {
                compared.golden.push(&rows.features[at * width..(at + 1) * width], *ours);
                if compared.golden.scores.len() > rows_max {
                    compared.golden.thin();
                    stride *= 2;
                }
            }
        }
    }
    if compared.golden.scores.is_empty() {
        return Err(Fault::refused(path, "has no rows to compare (rows with infinite numbers are not kept)"));
    }
    Ok(compared)
}

/// What the trainer said.
#[derive(Clone, Copy)]
struct Theirs {
    margin: Option<f64>,
    score: f64,
}

enum Judged {
    Same,
    LastPlace,
    Other,
}

fn judge(ours: Score, theirs: Theirs, precision: Precision, format: Format) -> Judged {
    if format == Format::LogisticJson {
        let near = |a: f64, b: f64| (a - b).abs() <= LOGISTIC_TOLERANCE * ours.margin.abs().max(1.0);
        let margin = theirs.margin.is_none_or(|margin| near(margin, ours.margin));
        return if margin && near(theirs.score, ours.score) { Judged::Same } else { Judged::Other };
    }
    let places = |a: f64, b: f64| match precision {
        Precision::F32 => u64::from((a as f32).to_bits().abs_diff((b as f32).to_bits())),
        Precision::F64 => a.to_bits().abs_diff(b.to_bits()),
    };
    // By value: zeros of both signs are one number, and NaN is NaN.
    let equal =
        |a: f64, b: f64| places(a, b) == 0 || places(a + 0.0, b + 0.0) == 0 || (a.is_nan() && b.is_nan());
    match theirs.margin {
        Some(margin) if !equal(margin, ours.margin) => Judged::Other,
        _ if equal(theirs.score, ours.score) => Judged::Same,
        Some(_) if places(theirs.score, ours.score) == 1 => Judged::LastPlace,
        Some(_) | None => Judged::Other,
    }
}

fn difference(row: u64, ours: Score, theirs: Theirs, precision: Precision, rows: &Rows) -> String {
    let given = match theirs.margin {
        Some(margin) => words(Score { margin, score: theirs.score }, precision),
        None => format!("score {}", number(theirs.score, precision)),
    };
    let rounded = match rows.rounded {
        0 => String::new(),
        numbers => format!(
            "; {numbers} numbers so far have no f32 that stands for them and were rounded to the nearest: let the \
             trainer score rows of f32"
        ),
    };
    let moved = match rows.moved {
        0 => String::new(),
        numbers => format!(
            "; {numbers} numbers so far are f64 beside a threshold: where the trainer scored f32, write them with all \
             their digits, or as Parquet"
        ),
    };
    format!("row {}: ours: {}; theirs: {given}{rounded}{moved}", row + 1, words(ours, precision))
}

/// A file of features and scores, batch by batch.
struct Rows {
    reader: RowReader,
    path: std::path::PathBuf,
    has_margin: bool,
    batch: Vec<f64>,
    /// Of the batch at hand.
    features: Vec<f32>,
    scores: Vec<Theirs>,
    /// Numbers that no f32 stands for.
    rounded: u64,
    /// Numbers whose f32 is not the nearest.
    moved: u64,
}

impl Rows {
    fn open(path: &Path, features: &[String]) -> Result<Self, Fault> {
        super::files::size(path)?;
        let columns = RowReader::columns(path).map_err(|trouble| Fault::rows(path, &trouble))?;
        if let Some(name) = features.iter().find(|name| *name == "score" || *name == "margin") {
            let what = format_args!("a feature of the model is called `{name}`, as the trainer's column is");
            return Err(Fault::refused(path, what));
        }
        let has_margin = columns.iter().any(|column| column == "margin");
        let mut wanted: Vec<&str> = features.iter().map(String::as_str).collect();
        wanted.push("score");
        if has_margin {
            wanted.push("margin");
        }
        let reader = RowReader::open(path, &wanted).map_err(|trouble| Fault::rows(path, &trouble))?;
        Ok(Self {
            reader,
            path: path.to_path_buf(),
            has_margin,
            batch: Vec::new(),
            features: Vec::new(),
            scores: Vec::new(),
            rounded: 0,
            moved: 0,
        })
    }

    /// Whether there were rows.
    fn next_batch(&mut self, model: &Model) -> Result<bool, Fault> {
        let rows =
            self.reader.read(&mut self.batch, BATCH).map_err(|trouble| Fault::rows(&self.path, &trouble))?;
        self.features.clear();
        self.scores.clear();
        let features = self.reader.width() - 1 - usize::from(self.has_margin);
        for row in self.batch.chunks_exact(self.reader.width()) {
            let (row, said) = row.split_at(features);
            for (feature, x) in row.iter().enumerate() {
                let (narrow, nearest) = (model.narrow(feature, *x), *x as f32);
                self.rounded += u64::from(narrow.is_none());
                self.moved += u64::from(narrow.is_some_and(|x| x.to_bits() != nearest.to_bits()));
                self.features.push(narrow.unwrap_or(nearest));
            }
            self.scores.push(Theirs { score: said[0], margin: said.get(1).copied() });
        }
        Ok(rows > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(ours: (f64, f64), theirs: (Option<f64>, f64), format: Format) -> &'static str {
        let precision = if matches!(format, Format::XgboostJson) { Precision::F32 } else { Precision::F64 };
        let ours = Score { margin: ours.0, score: ours.1 };
        match judge(ours, Theirs { margin: theirs.0, score: theirs.1 }, precision, format) {
            Judged::Same => "same",
            Judged::LastPlace => "last place",
            Judged::Other => "other",
        }
    }

    #[test]
    fn a_score_may_differ_in_its_last_place_only_beside_an_equal_margin() {
        let up = f64::from(0.25f32.next_up());
        assert_eq!(judged((-1.0, 0.25), (None, 0.25), Format::XgboostJson), "same");
        assert_eq!(judged((-1.0, 0.25), (None, up), Format::XgboostJson), "other");
        assert_eq!(judged((-1.0, 0.25), (Some(-1.0), up), Format::XgboostJson), "last place");
        assert_eq!(judged((-1.0, 0.25), (Some(-1.0), 0.26), Format::XgboostJson), "other");
        let margin = f64::from((-1.0f32).next_up());
        assert_eq!(judged((-1.0, 0.25), (Some(margin), 0.25), Format::XgboostJson), "other");
        assert_eq!(judged((0.0, 0.5), (Some(-0.0), 0.5), Format::XgboostJson), "same");
        // A double that reads to the same f32 is the same.
        assert_eq!(judged((0.0, f64::from(0.1f32)), (None, 0.1), Format::XgboostJson), "same");
        assert_eq!(judged((0.0, 0.1), (None, 0.1f64.next_up()), Format::LightgbmText), "other");
        assert_eq!(judged((0.0, 0.1), (None, f64::NAN), Format::LightgbmText), "other");
    }

    #[test]
    fn a_logistic_model_has_a_tolerance() {
        assert_eq!(judged((-4.0, 0.1), (Some(-4.0 - 1e-14), 0.1 + 1e-15), Format::LogisticJson), "same");
        assert_eq!(judged((-4.0, 0.1), (None, 0.1 + 1e-9), Format::LogisticJson), "other");
        assert_eq!(judged((-4.0, 0.1), (None, f64::NAN), Format::LogisticJson), "other");
    }
}
