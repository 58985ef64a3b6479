//! Golden rows: what a model must say of a few rows, bit for bit, before it is used.
//!
//! `golden.jsonl` -> **golden** -> `folder`; `import` -> **golden** -> `golden.jsonl`
//!
//! A line is a row: `{"row":[1.5,null,…],"margin":-2.1,"score":0.109}`; null is missing; numbers are the shortest
//! texts that read back to f32 (row) and to the trainer's type (margin, score).
//!
//! The score of a calibrated model is that of its map, so a map that was changed does not pass.
//!
//! Holds: a model passes only where the path of single rows and the path of blocks give these very bits.
//! Not here: which rows (`probe`, `trainer_rows`).

use super::fault::Fault;
use cartguard_forest::{Model, Precision, Score};
use serde::Deserialize;
use std::path::Path;

/// Numbers in all kept rows together: golden rows are read at every start. Arbitrary; 32 MiB of text at most.
const NUMBERS_MAX: usize = 2_000_000;
/// Rows kept, whatever their width. Arbitrary.
const ROWS_MAX: usize = 1000;
/// Rows kept at least. Derived: so many make the scorer take its path of blocks.
const ROWS_MIN: usize = 32;

/// Rows and what the trainer said of each.
#[derive(Debug, Default)]
pub(super) struct Golden {
    pub(super) width: usize,
    /// One after the other; NaN is missing.
    pub(super) rows: Vec<f32>,
    pub(super) scores: Vec<Score>,
}

/// A line, in the trainer's type.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<T> {
    row: Vec<Option<f32>>,
    margin: T,
    score: T,
}

impl Golden {
    pub(super) fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    /// Most rows that a model of this width keeps.
    pub(super) fn rows_max(width: usize) -> usize {
        (NUMBERS_MAX / width.max(1)).clamp(ROWS_MIN, ROWS_MAX)
    }

    /// Takes a row, where JSON has words for all of it: it has none for infinity.
    pub(super) fn push(&mut self, row: &[f32], score: Score) {
        let finite = score.margin.is_finite() && score.score.is_finite();
        if finite && !row.iter().any(|value| value.is_infinite()) {
            self.rows.extend_from_slice(row);
            self.scores.push(score);
        }
    }

    /// Drops every second row: what is left is still spread over all.
    pub(super) fn thin(&mut self) {
        let width = self.width;
        let kept = self.scores.len().div_ceil(2);
        for at in 1..kept {
            self.rows.copy_within(2 * at * width..(2 * at + 1) * width, at * width);
            self.scores[at] = self.scores[2 * at];
        }
        self.rows.truncate(kept * width);
        self.scores.truncate(kept);
    }

    pub(super) fn row(&self, at: usize) -> &[f32] {
        &self.rows[at * self.width..(at + 1) * self.width]
    }

    /// Reads the lines of a file.
    pub(super) fn parse(
        path: &Path,
        bytes: &[u8],
        precision: Precision,
        width: usize,
    ) -> Result<Self, Fault> {
        let mut golden = Self::new(width);
        let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|byte| *byte == b'\n');
        for (at, line) in lines.enumerate() {
            let refused = |what: String| Fault::refused(path, format_args!("line {}: {what}", at + 1));
            let (row, score) = match precision {
                Precision::F32 => read_line::<f32>(line),
                Precision::F64 => read_line::<f64>(line),
            }
            .map_err(|error| refused(error.to_string()))?;
            if row.len() != width {
                return Err(refused(format!("has {} numbers, the model {width} features", row.len())));
            }
            golden.rows.extend(row.iter().map(|value| value.unwrap_or(f32::NAN)));
            golden.scores.push(score);
        }
        Ok(golden)
    }

    /// The lines for a file.
    pub(super) fn text(&self, precision: Precision) -> Vec<u8> {
        let mut out = Vec::new();
        for (at, score) in self.scores.iter().enumerate() {
            out.extend_from_slice(b"{\"row\":[");
            for (place, value) in self.row(at).iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                if value.is_nan() {
                    out.extend_from_slice(b"null");
                } else {
                    Precision::F32.write(f64::from(*value), &mut out);
                }
            }
            out.extend_from_slice(b"],\"margin\":");
            precision.write(score.margin, &mut out);
            out.extend_from_slice(b",\"score\":");
            precision.write(score.score, &mut out);
            out.extend_from_slice(b"}\n");
        }
        out
    }

    /// Scores all rows on both paths; any other bit is a fault that names the line.
    pub(super) fn verify(&self, path: &Path, model: &Model) -> Result<(), Fault> {
        let count = self.scores.len();
        if count == 0 {
            return Err(Fault::refused(path, "has no rows, so nothing shows that the model is what it was"));
        }
        let mut scratch = model.scratch();
        // Repeated, so that there are rows enough for a block.
        let mut rows = self.rows.clone();
        while rows.len() < ROWS_MIN * self.width {
            rows.extend_from_slice(&self.rows);
        }
        let mut blocks = vec![Score::default(); rows.len().checked_div(self.width).unwrap_or(count)];
        model.score_rows(&rows, self.width, &mut scratch, &mut blocks);
        for (at, wanted) in self.scores.iter().enumerate() {
            let single = model.score_one(self.row(at), &mut scratch);
            for (ours, way) in [(blocks[at], "in a block"), (single, "alone")] {
                if !same(ours, *wanted) {
                    let precision = model.precision();
                    let what = format_args!(
                        "line {}: scored {way} the model gives {}, the line has {}",
                        at + 1,
                        words(ours, precision),
                        words(*wanted, precision)
                    );
                    return Err(Fault::refused(path, what));
                }
            }
        }
        Ok(())
    }
}

fn read_line<'a, T: Deserialize<'a> + Into<f64>>(
    line: &'a [u8],
) -> Result<(Vec<Option<f32>>, Score), serde_json::Error> {
    let line: Line<T> = serde_json::from_slice(line)?;
    Ok((line.row, Score { margin: line.margin.into(), score: line.score.into() }))
}

/// Bit for bit.
fn same(a: Score, b: Score) -> bool {
    a.margin.to_bits() == b.margin.to_bits() && a.score.to_bits() == b.score.to_bits()
}

/// For messages.
pub(super) fn words(score: Score, precision: Precision) -> String {
    format!("margin {}, score {}", number(score.margin, precision), number(score.score, precision))
}

/// The shortest text that reads back to the trainer's type.
pub(super) fn number(value: f64, precision: Precision) -> String {
    let mut text = Vec::new();
    precision.write(value, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden() -> Golden {
        let mut golden = Golden::new(2);
        let tenth = f64::from(0.1f32);
        golden.push(&[0.1, f32::NAN], Score { margin: -2.5, score: tenth });
        golden.push(&[-0.0, 7.038_531e-26], Score { margin: 1e-30, score: 0.5 });
        golden.push(&[f32::INFINITY, 1.0], Score::default());
        golden
    }

    #[test]
    fn lines_read_back_to_the_same_bits() {
        let golden = golden();
        let path = Path::new("golden.jsonl");
        for precision in [Precision::F32, Precision::F64] {
            let text = golden.text(precision);
            let back = Golden::parse(path, &text, precision, 2).expect("our own lines");
            assert_eq!(back.scores.len(), 2, "a row with infinity is left out");
            assert_eq!(back.text(precision), text);
            let bits = |golden: &Golden| golden.rows.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&back), bits(&golden));
        }
        let first = golden.text(Precision::F32);
        assert!(first.starts_with(b"{\"row\":[0.1,null],\"margin\":-2.5,\"score\":0.1}\n"));
    }

    #[test]
    fn a_bad_line_is_named() {
        let path = Path::new("golden.jsonl");
        let message =
            |text: &[u8]| Golden::parse(path, text, Precision::F32, 2).expect_err("a bad line").to_string();
        let good = "{\"row\":[1,2],\"margin\":0,\"score\":0.5}\n";
        assert!(message(format!("{good}{{").as_bytes()).starts_with("golden.jsonl: line 2: "));
        assert!(message(format!("{good}\n{good}").as_bytes()).starts_with("golden.jsonl: line 2: "));
        assert!(message(b"{\"row\":[1],\"margin\":0,\"score\":0.5}").contains("has 1 numbers"));
        assert!(message(b"{\"row\":[1,2],\"margin\":0,\"score\":0.5,\"x\":1}").contains("unknown field"));
        assert!(message(b"{\"row\":[1,2],\"margin\":null,\"score\":0.5}").contains("line 1"));
    }

    #[test]
    fn thinning_keeps_every_second_row() {
        let mut golden = Golden::new(1);
        for at in 0..5u8 {
            golden.push(&[f32::from(at)], Score { margin: f64::from(at), score: 0.0 });
        }
        golden.thin();
        assert_eq!(golden.rows, [0.0, 2.0, 4.0]);
        assert_eq!(golden.scores.iter().map(|score| score.margin).collect::<Vec<_>>(), [0.0, 2.0, 4.0]);
    }
}
