//! `shadow.jsonl`: a line for each score of a challenger.
//!
//! `scoring` -> **lines** -> file
//!
//! `{"sequence":12,"model":"checkout/8","score":0.0125,"decision":"approve"}`, in sequence order; a score that is NaN is null.
//!
//! Holds: a line is whole or absent; what a killed process left of one is cut before the next is written. A file is there only where there
//! was a score. One that has its most bytes is put aside as `shadow.1.jsonl`, in the place of the one before, so that there are the newest
//! scores, of once to twice as many bytes.

use super::Settings;
use cartguard_engine::decide::Decision;
use cartguard_forest::Precision;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// More than any line has.
const TAIL: u64 = 4_096;

/// See the module.
pub(super) struct Lines {
    path: Option<PathBuf>,
    max_bytes: u64,
    append: bool,
    file: Option<File>,
    /// Bytes of whole lines in the file.
    bytes: u64,
    text: Vec<u8>,
    count: u64,
}

impl Lines {
    /// Without a path they go nowhere.
    pub(super) fn new(settings: Settings) -> Self {
        let Settings { path, max_bytes, append } = settings;
        let max_bytes = max_bytes.unwrap_or(u64::MAX);
        Self { path, max_bytes, append, file: None, bytes: 0, text: Vec::new(), count: 0 }
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
        let path = path.clone();
        let written = self.write_text(&path);
        let length = self.text.len() as u64;
        self.text.clear();
        written.map_err(|why| (count, format!("{}: cannot be written: {why}", path.display())))?;
        self.bytes += length;
        Ok(())
    }

    fn write_text(&mut self, path: &Path) -> io::Result<()> {
        if self.file.is_none() {
            let (file, bytes) = open(path, self.append)?;
            (self.file, self.bytes, self.append) = (Some(file), bytes, true);
        }
        if self.bytes > 0 && self.bytes + self.text.len() as u64 > self.max_bytes {
            fs::rename(path, rotated(path))?;
            self.file = None;
            self.bytes = 0;
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(open(path, true)?.0),
        };
        file.write_all(&self.text).inspect_err(|_| {
            // Half a line would spoil the next one, and so would a hole, where somebody shortened it.
            let whole = file.metadata().map_or(0, |about| about.len().min(self.bytes));
            let _ = file.set_len(whole).and_then(|()| file.seek(SeekFrom::Start(whole)));
        })
    }
}

/// Where the scores before those of a file are: `shadow.1.jsonl` of `shadow.jsonl`.
pub(super) fn rotated(path: &Path) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().map_or_else(String::new, |ending| format!(".{}", ending.to_string_lossy()));
    path.with_file_name(format!("{stem}.1{ending}"))
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
        match fs::remove_file(rotated(path)) {
            Err(why) if why.kind() != ErrorKind::NotFound => return Err(why),
            Ok(()) | Err(_) => {}
        }
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
        let mut lines =
            Lines::new(Settings { path: Some(path.clone()), append: true, ..Settings::default() });
        lines.write().expect("nothing to write");
        assert!(!path.exists(), "there was no score");
        push(&mut lines, 1, f64::from(0.1_f32));
        push(&mut lines, 2, f64::NAN);
        lines.write().expect("a folder");
        let first = "{\"sequence\":1,\"model\":\"shop/2\",\"score\":0.1,\"decision\":\"review\"}\n";
        let second = "{\"sequence\":2,\"model\":\"shop/2\",\"score\":null,\"decision\":\"review\"}\n";
        assert_eq!(fs::read_to_string(&path).expect("text"), format!("{first}{second}"));
        fs::write(&path, format!("{first}{}", &second[..20])).expect("written");
        let mut lines =
            Lines::new(Settings { path: Some(path.clone()), append: true, ..Settings::default() });
        push(&mut lines, 2, f64::INFINITY);
        lines.write().expect("a folder");
        assert_eq!(fs::read_to_string(&path).expect("text"), format!("{first}{second}"));
        let mut lines =
            Lines::new(Settings { path: Some(path.clone()), append: false, ..Settings::default() });
        push(&mut lines, 2, f64::NAN);
        lines.write().expect("a folder");
        assert_eq!(fs::read_to_string(&path).expect("text"), second);
    }

    /// However long it runs, there are no more than the newest two files.
    #[test]
    fn a_file_that_has_its_most_bytes_is_put_aside_and_another_begun() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("shadow.jsonl");
        let settings = |append| Settings { path: Some(path.clone()), max_bytes: Some(1_000), append };
        let sequences = |path: &Path| -> Vec<u64> {
            let text = fs::read_to_string(path).expect("whole lines");
            assert!(text.len() <= 1_000, "{} bytes", text.len());
            let sequence =
                |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["sequence"].as_u64();
            text.lines().map(|line| sequence(line).expect("a line")).collect()
        };
        for process in 0..3 {
            let mut lines = Lines::new(settings(process > 0));
            for block in 0..20 {
                for at in 0..3 {
                    push(&mut lines, process * 60 + block * 3 + at, 0.5);
                }
                lines.write().expect("room");
            }
            let both = [sequences(&rotated(&path)), sequences(&path)].concat();
            assert!(both.len() > 12 && both.is_sorted_by(|one, next| one + 1 == *next), "{both:?}");
            assert_eq!(both.last(), Some(&(process * 60 + 59)));
        }
        let mut lines = Lines::new(settings(false));
        push(&mut lines, 0, 0.5);
        lines.write().expect("room");
        assert!(!rotated(&path).exists() && sequences(&path) == [0], "a run that does not go on begins anew");
    }

    #[test]
    fn what_cannot_be_written_is_counted_with_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut lines = Lines::new(Settings {
            path: Some(folder.path().to_path_buf()),
            append: false,
            ..Settings::default()
        });
        push(&mut lines, 1, 0.5);
        push(&mut lines, 2, 0.5);
        let (lost, why) = lines.write().expect_err("a folder is no file");
        assert!(lost == 2 && why.contains(&folder.path().display().to_string()), "{lost} {why}");
        lines.write().expect("they are lost, and not tried again");
    }
}
