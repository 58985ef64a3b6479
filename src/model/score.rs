//! `cartguard model score`: rows of features -> scores, as they stand.
//!
//! rows -> **score** -> CSV of `score,margin`
//!
//! Holds: a line for each row, in order, in the shortest text that reads back to the trainer's type; the output
//! appears whole or not at all. Rows come to f32 on the trainer's side of every threshold (`Model::narrow`).
//! Not here: configuration, features files, thresholds.

use super::cli::ScoreArguments;
use super::fault::Fault;
use super::{files, folder};
use cartguard_forest::{Model, Score};
use cartguard_io::{RowReader, identity};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Rows at once. Arbitrary: 90 numbers of 4,096 rows lie in a second-level cache.
const BATCH: usize = 4096;

/// Scores a file and says how many rows there were.
pub(super) fn score(arguments: &ScoreArguments) -> Result<String, Fault> {
    let (input, output) = (&arguments.input, &arguments.output);
    if identity(input).is_some_and(|held| identity(output) == Some(held)) {
        let what = format_args!("is the input {}, and would be overwritten", input.display());
        return Err(Fault::refused(output, what));
    }
    let mut file = Output::open(output, arguments.force)?;
    let folder = folder::open(&arguments.model)?;
    files::size(input)?;
    let reader = RowReader::open(input, &folder.features).map_err(|trouble| Fault::rows(input, &trouble))?;
    let poured = pour(&folder.model, reader, input, &mut file)?;
    file.finish()?;
    let mut said =
        format!("{}: {} rows scored, written to {}\n", input.display(), poured.rows, output.display());
    if poured.rounded > 0 {
        said.push_str(&format!(
            "  {} numbers have no f32 that stands for them and were rounded to the nearest; this model's trainer would \
             take them as they are\n",
            poured.rounded
        ));
    }
    Ok(said)
}

/// What went through.
#[derive(Default)]
struct Poured {
    rows: u64,
    /// Numbers that no f32 stands for.
    rounded: u64,
}

fn pour(model: &Model, mut reader: RowReader, input: &Path, file: &mut Output) -> Result<Poured, Fault> {
    let precision = model.precision();
    let (mut scratch, mut scores) = (model.scratch(), Vec::new());
    let (mut batch, mut rows) = (Vec::new(), Vec::new());
    let mut lines = b"score,margin\n".to_vec();
    let mut poured = Poured::default();
    loop {
        let count = reader.read(&mut batch, BATCH).map_err(|trouble| Fault::rows(input, &trouble))?;
        rows.clear();
        for row in batch.chunks_exact(reader.width().max(1)) {
            rows.extend(row.iter().enumerate().map(|(feature, number)| {
                model.narrow(feature, *number).unwrap_or_else(|| {
                    poured.rounded += 1;
                    *number as f32
                })
            }));
        }
        scores.resize(count, Score::default());
        model.score_rows(&rows, reader.width(), &mut scratch, &mut scores);
        for score in &scores {
            precision.write(score.score, &mut lines);
            lines.push(b',');
            precision.write(score.margin, &mut lines);
            lines.push(b'\n');
        }
        file.write(&lines)?;
        lines.clear();
        poured.rows += count as u64;
        if count == 0 {
            return Ok(poured);
        }
    }
}

/// The output under another name until it is finished; a device or a pipe is written as it stands.
struct Output {
    path: PathBuf,
    unfinished: Option<PathBuf>,
    file: BufWriter<File>,
}

impl Output {
    fn open(path: &Path, force: bool) -> Result<Self, Fault> {
        let unwritable = |cause| Fault::world(path, "cannot be written", cause);
        let there = match fs::metadata(path) {
            Ok(metadata) => Some(metadata.file_type()),
            Err(why) if why.kind() == io::ErrorKind::NotFound => None,
            Err(why) => return Err(unwritable(why)),
        };
        let (unfinished, file) = match there {
            Some(kind) if kind.is_dir() => return Err(Fault::refused(path, "is a folder; a file is needed")),
            Some(kind) if kind.is_file() && !force => {
                return Err(Fault::refused(path, "exists; --force replaces it"));
            }
            Some(kind) if !kind.is_file() => (None, File::options().write(true).open(path)),
            _ => {
                let unfinished = files::beside(path);
                let file = File::create_new(&unfinished);
                (Some(unfinished), file)
            }
        };
        let file = BufWriter::with_capacity(1 << 16, file.map_err(unwritable)?);
        Ok(Self { path: path.to_path_buf(), unfinished, file })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.file.write_all(bytes).map_err(|cause| Fault::world(&self.path, "cannot be written", cause))
    }

    fn finish(mut self) -> Result<(), Fault> {
        let unwritable = |cause| Fault::world(&self.path, "cannot be written", cause);
        self.file.flush().map_err(unwritable)?;
        if let Some(unfinished) = &self.unfinished {
            fs::rename(unfinished, &self.path).map_err(unwritable)?;
        }
        self.unfinished = None;
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(unfinished) = &self.unfinished {
            // The first fault is what is told.
            let _ = fs::remove_file(unfinished);
        }
    }
}
