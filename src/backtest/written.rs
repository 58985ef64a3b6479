//! The files: `scored.csv` while it goes, the report at the end.
//!
//! **written** -> `DIR/scored.csv`, `DIR/report.html`, `DIR/report.json`
//!
//! Holds: everything is written beside its name and renamed at the end; whatever ends it earlier leaves nothing.

use crate::training::instant;
use anyhow::Context;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// What a file is called until it is finished: its name behind this.
const UNFINISHED: &str = ".unfinished-";
const SCORED: &str = "scored.csv";
/// Of `scored.csv`.
const HEADER: [&str; 4] = ["event_id", "event_time", "score", "model"];

/// Scores on their way into a folder.
pub(super) struct Scores {
    folder: PathBuf,
    lines: csv::Writer<File>,
    rows: u64,
    /// Names of files that are beside theirs.
    unfinished: Vec<&'static str>,
}

impl Scores {
    pub(super) fn begin(folder: &Path) -> anyhow::Result<Self> {
        let path = beside(folder, SCORED);
        let file = File::create(&path).with_context(|| format!("{}: cannot be written", path.display()))?;
        let lines = csv::WriterBuilder::new().buffer_capacity(1 << 16).from_writer(file);
        let mut scores = Self { folder: folder.to_path_buf(), lines, rows: 0, unfinished: vec![SCORED] };
        scores.write(&HEADER)?;
        Ok(scores)
    }

    /// An event that was scored.
    pub(super) fn push(&mut self, id: &str, time_ms: i64, score: f64, model: &str) -> anyhow::Result<()> {
        self.rows += 1;
        self.write(&[id, &instant(time_ms), &score.to_string(), model])
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    fn write(&mut self, cells: &[&str; 4]) -> anyhow::Result<()> {
        let path = || format!("{}: cannot be written", self.folder.join(SCORED).display());
        self.lines.write_record(cells).with_context(path)
    }

    /// Writes what else belongs into the folder, then gives all files their names.
    pub(super) fn finish(mut self, more: &[(&'static str, Vec<u8>)]) -> anyhow::Result<()> {
        let unwritable = |path: &Path| format!("{}: cannot be written", path.display());
        self.lines.flush().with_context(|| unwritable(&self.folder.join(SCORED)))?;
        for (name, bytes) in more {
            let path = beside(&self.folder, name);
            self.unfinished.push(name);
            fs::write(&path, bytes).with_context(|| unwritable(&path))?;
        }
        for name in std::mem::take(&mut self.unfinished) {
            let path = self.folder.join(name);
            fs::rename(beside(&self.folder, name), &path).with_context(|| unwritable(&path))?;
        }
        Ok(())
    }
}

impl Drop for Scores {
    fn drop(&mut self) {
        for name in &self.unfinished {
            // The first fault is what is told.
            let _ = fs::remove_file(beside(&self.folder, name));
        }
    }
}

fn beside(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{UNFINISHED}{name}"))
}
