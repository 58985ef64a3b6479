//! `shadow.jsonl`: a line for each score of a challenger.
//!
//! `scoring` -> **lines** -> file
//!
//! `{"sequence":12,"model":"checkout/8","score":0.0125,"decision":"approve"}`, in sequence order; a score that is NaN is null.
//!
//! Holds: a line is whole or absent; what a killed process left of one is cut before the next is written. A file is there only where there
//! was a score.

use cartguard_engine::decide::Decision;
use cartguard_forest::Precision;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// More than any line has.
const TAIL: u64 = 4_096;

/// See the module.
pub(super) struct Lines {
    path: Option<PathBuf>,
    append: bool,
    file: Option<File>,
    /// Bytes of whole lines in the file.
    bytes: u64,
    text: Vec<u8>,
    count: u64,
}

impl Lines {
    /// Without a path they go nowhere.
    pub(super) fn new(path: Option<PathBuf>, append: bool) -> Self {
        Self { path, append, file: None, bytes: 0, text: Vec::new(), count: 0 }
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    pub(super) fn push(
        &mut self,
        sequence: u64,
        model: &str,
        (score, precision): (f64, Precision),
        decision: Decision,
    ) {
        if self.path.is_none() {
            return;
        }
        self.text.extend_from_slice(b"{\"sequence\":");
        self.text.extend_from_slice(itoa::Buffer::new().format(sequence).as_bytes());
        // Names of models need no escapes.
        self.text.extend_from_slice(b",\"model\":\"");
        self.text.extend_from_slice(model.as_bytes());
        self.text.extend_from_slice(b"\",\"score\":");
        if score.is_finite() {
            precision.write(score, &mut self.text);
        } else {
            self.text.extend_from_slice(b"null");
        }
        self.text.extend_from_slice(b",\"decision\":\"");
        self.text.extend_from_slice(decision.name().as_bytes());
        self.text.extend_from_slice(b"\"}\n");
        self.count += 1;
    }

    /// Writes what was pushed; how many lines are lost and why, where it cannot be written.
    pub(super) fn write(&mut self) -> Result<(), (u64, String)> {
        let (Some(path), false) = (&self.path, self.text.is_empty()) else { return Ok(()) };
        let count = std::mem::take(&mut self.count);
        let written = match &mut self.file {
            Some(file) => Ok(file),
            None => open(path, self.append).map(|(file, bytes)| {
                self.bytes = bytes;
                self.file.insert(file)
            }),
        };
        let written = written.and_then(|file| {
            file.write_all(&self.text).inspect_err(|_| {
                // Half a line would spoil the next one.
                let _ = file.set_len(self.bytes).and_then(|()| file.seek(SeekFrom::Start(self.bytes)));
            })
        });
        let length = self.text.len() as u64;
        self.text.clear();
        written.map_err(|why| (count, format!("{}: cannot be written: {why}", path.display())))?;
        self.bytes += length;
        Ok(())
    }
}

/// The file, at its end, and its bytes.
fn open(path: &Path, append: bool) -> io::Result<(File, u64)> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    // Appending: whoever shortens the file meanwhile gets no hole.
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    if !append {
        file.set_len(0)?;
    }
    let length = file.metadata()?.len();
    let from = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(from, |end| from + end as u64 + 1);
    file.set_len(whole)?;
    file.seek(SeekFrom::Start(whole))?;
    Ok((file, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(lines: &mut Lines, sequence: u64, score: f64) {
        lines.push(sequence, "shop/2", (score, Precision::F32), Decision::Review);
    }

    #[test]
    fn a_line_that_was_torn_is_cut_and_written_on_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("below/shadow.jsonl");
        let mut lines = Lines::new(Some(path.clone()), true);
        lines.write().expect("nothing to write");
        assert!(!path.exists(), "there was no score");
        push(&mut lines, 1, f64::from(0.1_f32));
        push(&mut lines, 2, f64::NAN);
        lines.write().expect("a folder");
        let first = "{\"sequence\":1,\"model\":\"shop/2\",\"score\":0.1,\"decision\":\"review\"}\n";
        let second = "{\"sequence\":2,\"model\":\"shop/2\",\"score\":null,\"decision\":\"review\"}\n";
        assert_eq!(fs::read_to_string(&path).expect("text"), format!("{first}{second}"));
        fs::write(&path, format!("{first}{}", &second[..20])).expect("written");
        let mut lines = Lines::new(Some(path.clone()), true);
        push(&mut lines, 2, f64::INFINITY);
        lines.write().expect("a folder");
        assert_eq!(fs::read_to_string(&path).expect("text"), format!("{first}{second}"));
        let mut lines = Lines::new(Some(path.clone()), false);
        push(&mut lines, 2, f64::NAN);
        lines.write().expect("a folder");
        assert_eq!(fs::read_to_string(&path).expect("text"), second);
    }

    #[test]
    fn what_cannot_be_written_is_counted_with_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut lines = Lines::new(Some(folder.path().to_path_buf()), false);
        push(&mut lines, 1, 0.5);
        push(&mut lines, 2, 0.5);
        let (lost, why) = lines.write().expect_err("a folder is no file");
        assert!(lost == 2 && why.contains(&folder.path().display().to_string()), "{lost} {why}");
        lines.write().expect("they are lost, and not tried again");
    }
}
