//! History: several files one after the other, in the order given.
//!
//! paths -> **files** -> lines, csv, parquet -> records
//!
//! Holds: every input is looked at before the first record (it exists, is no directory, can be opened, has an
//! extension and a head that fit, a JSON file is no array), so that a typing error in the last name does not end a long run; a
//! batch never spans two files; one file is open at a time. A named pipe is opened only when its turn comes, and without
//! waiting: until somebody writes into it, a read says `Idle`.
//!
//! The last file may be followed while it grows (`growing`): a line counts once its end is there, and at the end of the file a read says `Idle`
//! at once. One that is then no longer what was taken of it is trouble, as it is at the next start.

use super::block::{Blocks, Packing};
use super::csv::Csv;
use super::ended::has_more;
use super::format::Format;
use super::growing::Changed;
use super::lines::Lines;
use super::parquet::Parquet;
use super::{Mapped, Meter, Position, Read, Replayable, Source};
use crate::Trouble;
use cartguard_engine::record::{PlaceRef, Records};
use cartguard_history::{Change, Opened, Partitions, Place, Run, Start};
use rustix::fs::OFlags;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What is looked at of a JSON file. Arbitrary: who begins with more blanks than that has chosen to.
const HEAD_BYTES: usize = 4096;

/// Reads files; see the module.
pub struct FileSource {
    names: Vec<String>,
    files: Vec<Checked>,
    /// Index of the file being read.
    at: usize,
    current: Option<Reader>,
    position: Position,
    meter: Meter,
    notes: Vec<String>,
    warnings: Vec<String>,
    /// What happened to the files and was not told of.
    changes: Vec<Change>,
    /// Files that were told of.
    opened: usize,
    /// The last file grows.
    follows: bool,
    /// A file that was read to its end must still end there.
    checks_ends: bool,
}

/// A file that was looked at.
struct Checked {
    path: PathBuf,
    format: Format,
    bytes: u64,
}

enum Reader {
    Lines(Lines),
    Csv(Csv),
    Parquet(Parquet),
}

impl FileSource {
    /// What it says of itself: files may be added behind those that were read, so their names are checked one by one.
    pub const IDENTITY: &str = "files";

    /// Looks at every file; nothing is read yet. Trouble names the first file that cannot be read.
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Self, Trouble> {
        Self::open_mapped(paths, &Mapped::default())
    }

    /// The same, and looks for the columns that are mapped. The header of a named pipe comes too late for that.
    pub fn open_mapped<P: AsRef<Path>>(paths: &[P], mapped: &Mapped) -> Result<Self, Trouble> {
        let meter = Meter::default();
        let (mut notes, mut warnings) = (Vec::new(), Vec::new());
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let file = check(path.as_ref(), mapped, &mut notes, &mut warnings)?;
            meter.expect(file.bytes);
            files.push(file);
        }
        let names = files.iter().map(|file| file.path.display().to_string()).collect();
        let position = Position { partition: 0, line: 1, offset: 0 };
        Ok(Self {
            names,
            files,
            at: 0,
            current: None,
            position,
            meter,
            notes,
            warnings,
            changes: Vec::new(),
            opened: 0,
            follows: false,
            checks_ends: false,
        })
    }

    /// Goes on with what comes behind the end of the last file, if it is one of plain lines; other files end.
    #[must_use]
    pub fn following(mut self) -> Self {
        let is_plain = |file: &Checked| file.format == Format::JsonLines(Packing::Plain);
        self.follows = self.files.last().is_some_and(|file| is_plain(file) && file.path.is_file());
        self
    }

    /// Refuses to go on behind a file that was read to its end and has more by now, which would never be read.
    #[must_use]
    pub fn checking_ends(mut self) -> Self {
        self.checks_ends = true;
        self
    }

    /// Whether a file that was read to its end ends there.
    fn check_end(&self, number: usize, place: Option<&Place>) -> Result<(), Trouble> {
        let Checked { path, format, .. } = &self.files[number];
        let last = match place {
            Some(&Place::Row { line, offset }) => Some((line, offset)),
            Some(_) | None => None,
        };
        if has_more(path, *format, last)? {
            let line = last.map_or(0, |(line, _)| line);
            let what = format!(
                "was read to its end, line {line}, and has more by now, which would never be read; put that in a new file that is added behind it \
                 in the list"
            );
            return Err(Trouble::refused(path, what));
        }
        Ok(())
    }

    /// Bytes done and bytes in all, as they lie on disk.
    pub fn progress(&self) -> (u64, u64) {
        (self.meter.done(), self.meter.total())
    }

    /// The same for another thread.
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// What a user should know about the inputs: columns that are left out, and why.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What is seldom meant: columns that are mapped and absent, a line for each file.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn open_next(&mut self) -> Result<Option<Reader>, Trouble> {
        let Some(file) = self.files.get(self.at) else { return Ok(None) };
        let reader = if self.follows && self.at + 1 == self.files.len() {
            let blocks = Blocks::of_growing(&file.path, open(&file.path)?, self.meter.clone());
            Reader::Lines(Lines::new(blocks, self.at as u32))
        } else {
            file.open(self.at as u32, &self.meter)?
        };
        self.position = reader.position();
        if self.opened == self.at {
            self.opened += 1;
            let name = self.names[self.at].clone();
            self.changes.push(Change::Open(Opened::new(name, Start::Oldest)));
        }
        Ok(Some(reader))
    }

    fn end_file(&mut self) {
        self.changes.push(Change::Finish { partition: self.at as u32 });
        self.current = None;
        self.at += 1;
    }

    /// Reads on in the present file without handing anything over, until the record at `place` is passed.
    fn skip(&mut self, place: &Place) -> Result<(), Trouble> {
        let path = self.files[self.at].path.clone();
        let &Place::Row { line: last, offset } = place else {
            return Err(Trouble::refused(&path, format_args!("{place} is no place in a file")));
        };
        self.current = self.open_next()?;
        let Some(reader) = &mut self.current else { return Ok(()) };
        let mut passed = Records::default();
        while reader.position().line <= last {
            // A record has a line at least, so that so many do not go past it.
            let most = (last - reader.position().line + 1).min(8_192) as usize;
            let read = reader.read(&mut passed, 1 << 20, most);
            match read.map_err(|e| Trouble::at(&path, "cannot be read again").because(e))? {
                Read::Idle if !self.follows => {}
                Read::End | Read::Idle => return Err(no_longer(&path, last, &"it ends before that line")),
                Read::More => {}
            }
            let is_other = |at| matches!(passed.place_of(at), PlaceRef::Row { line, offset: at } if line == last && at != offset);
            if passed.len().checked_sub(1).is_some_and(is_other) {
                return Err(no_longer(&path, last, &"that line stands elsewhere"));
            }
        }
        self.position = reader.position();
        Ok(())
    }
}

impl Source for FileSource {
    fn partitions(&self) -> &[String] {
        &self.names
    }

    fn read(&mut self, into: &mut Records, max_bytes: usize, max_records: usize) -> Result<Read, Trouble> {
        into.clear();
        // A record's range is 32 bits.
        let max_bytes = max_bytes.min(1 << 30);
        loop {
            if self.current.is_none() {
                self.current = self.open_next()?;
            }
            let Some(reader) = &mut self.current else { return Ok(Read::End) };
            let result = reader.read(into, max_bytes, max_records);
            self.position = reader.position();
            match result {
                Ok(Read::End) => self.end_file(),
                Ok(read) => return Ok(read),
                Err(cause) => {
                    let Position { line, offset, .. } = self.position;
                    let path = &self.files[self.at].path;
                    // Nothing after it is read: what is missing must not go unseen.
                    self.current = None;
                    self.at = self.files.len();
                    into.clear();
                    if cause.get_ref().is_some_and(|inner| inner.is::<Changed>()) {
                        return Err(no_longer(path, line - 1, &cause));
                    }
                    let what = format_args!("cannot be read on from line {line}, byte {offset}");
                    return Err(Trouble::at(path, what).because(cause));
                }
            }
        }
    }

    fn position(&self) -> Position {
        self.position
    }

    fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }
}

impl Replayable for FileSource {
    fn identity(&self) -> String {
        Self::IDENTITY.to_owned()
    }

    fn resume(&mut self, taken: &Partitions) -> Result<(), Trouble> {
        for (number, partition) in taken.list().iter().enumerate() {
            let name = &partition.opened.name;
            if self.names.get(number) != Some(name) {
                let now = self.names.get(number).map_or("no file", String::as_str);
                let what = format!(
                    "file {} was {name} before, and is {now}; files may only be added at the end",
                    number + 1
                );
                return Err(Trouble::stop(what).with_advice(crate::Advice::Refuse));
            }
            self.opened = number + 1;
            if partition.is_finished {
                self.at = number + 1;
                if self.checks_ends {
                    self.check_end(number, partition.place.as_ref())?;
                }
            }
        }
        if let Some(partition) = taken.list().get(self.at)
            && let Some(place) = &partition.place
        {
            self.skip(place)?;
        }
        Ok(())
    }

    fn take(&mut self, run: &Run, into: &mut Records, _: &dyn Fn() -> bool) -> Result<(), Trouble> {
        into.clear();
        let mut some = Records::default();
        while into.len() < run.records as usize {
            // What the log has of the files comes back by `apply`.
            self.at = run.partition as usize;
            let read = self.read(&mut some, 1 << 30, run.records as usize - into.len())?;
            let is_there = read == Read::More && some.list.iter().all(|meta| meta.partition == run.partition);
            if !is_there {
                break;
            }
            into.append(&some);
        }
        self.changes.clear();
        let end = into.len().checked_sub(1).map(|last| Place::from(into.place_of(last)));
        if end.as_ref() != Some(&run.end) || into.len() != run.records as usize {
            let name = self.names.get(run.partition as usize).map_or("a file", String::as_str);
            let what = format!(
                "{name}: {} records up to {} were read before, and now there are other ones",
                run.records, run.end
            );
            return Err(Trouble::stop(what).with_advice(crate::Advice::Refuse));
        }
        Ok(())
    }

    fn apply(&mut self, change: &Change) -> Result<(), Trouble> {
        match change {
            Change::Open(opened) => {
                if self.names.get(self.opened) != Some(&opened.name) {
                    let what = format!("{}: was read before, and is not among the files", opened.name);
                    return Err(Trouble::stop(what).with_advice(crate::Advice::Refuse));
                }
                self.opened += 1;
            }
            Change::Finish { partition } => {
                self.current = None;
                self.at = *partition as usize + 1;
            }
            Change::Gap { .. } | Change::Quiet { .. } | Change::Version { .. } => {}
        }
        Ok(())
    }

    fn go_on(&mut self, _: &dyn Fn() -> bool) -> Result<(), Trouble> {
        Ok(())
    }
}

impl Checked {
    fn open(&self, partition: u32, meter: &Meter) -> Result<Reader, Trouble> {
        let file = open(&self.path)?;
        let meter = meter.clone();
        let blocks = |file, packing, meter| {
            Blocks::of_file(file, packing, meter).map_err(|e| cannot_open(&self.path, e))
        };
        Ok(match self.format {
            Format::JsonLines(packing) => Reader::Lines(Lines::new(blocks(file, packing, meter)?, partition)),
            Format::Csv(packing) => {
                Reader::Csv(Csv::open(&self.path, blocks(file, packing, meter)?, partition)?)
            }
            Format::Parquet => Reader::Parquet(Parquet::open(&self.path, file, partition, meter)?),
        })
    }
}

impl Reader {
    fn read(&mut self, into: &mut Records, max_bytes: usize, max_records: usize) -> io::Result<Read> {
        match self {
            Self::Lines(lines) => lines.read(into, max_bytes, max_records),
            Self::Csv(csv) => csv.read(into, max_bytes, max_records),
            Self::Parquet(parquet) => parquet.read(into, max_bytes, max_records),
        }
    }

    fn position(&self) -> Position {
        match self {
            Self::Lines(lines) => lines.position(),
            Self::Csv(csv) => csv.position(),
            Self::Parquet(parquet) => parquet.position(),
        }
    }
}

/// Looks at a file and closes it again.
fn check(
    path: &Path,
    mapped: &Mapped,
    notes: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> Result<Checked, Trouble> {
    let meta = path.metadata().map_err(|e| cannot_open(path, e))?;
    if meta.is_dir() {
        return Err(Trouble::refused(path, "is a directory, not a file"));
    }
    let checked = Checked { path: path.to_path_buf(), format: Format::of(path)?, bytes: meta.len() };
    if !meta.is_file() {
        return match checked.format {
            Format::Parquet => Err(Trouble::refused(path, "is not a file; Parquet is read from its end")),
            Format::JsonLines(_) | Format::Csv(_) => Ok(checked),
        };
    }
    match checked.format {
        Format::JsonLines(packing) => {
            check_head(path, packing)?;
            refuse_array(path, packing)?;
        }
        Format::Csv(packing) => {
            check_head(path, packing)?;
            let blocks = Blocks::of_file(open(path)?, packing, Meter::default());
            let csv = Csv::open(path, blocks.map_err(|e| cannot_open(path, e))?, 0)?;
            let names = csv.names();
            warnings.extend(mapped.check(
                path,
                names,
                |path| matches!(path, [name] if names.contains(name)),
            )?);
        }
        Format::Parquet => {
            let parquet = Parquet::open(path, open(path)?, 0, Meter::default())?;
            parquet.note_left_out(path, notes);
            mapped.check_times(path, |path| parquet.holds_times(path))?;
            warnings.extend(mapped.check(path, &parquet.names(), |path| parquet.has(path))?);
        }
    }
    Ok(checked)
}

/// Whether a file begins like what its name says.
fn check_head(path: &Path, packing: Packing) -> Result<(), Trouble> {
    let mut head = Vec::new();
    open(path)?.take(4).read_to_end(&mut head).map_err(|e| cannot_open(path, e))?;
    let (expected, name) = match packing {
        Packing::Plain => return refuse_packed(path, &head),
        Packing::Gzip => (head.starts_with(&[0x1f, 0x8b]), "gzip"),
        // A frame, or a skippable one (RFC 8878, 3.1).
        Packing::Zstd => (
            head == [0x28, 0xb5, 0x2f, 0xfd]
                || (head.len() == 4 && head[0] & 0xf0 == 0x50 && head[1..] == [0x2a, 0x4d, 0x18]),
            "zstd",
        ),
    };
    if expected {
        return Ok(());
    }
    let what = if head.is_empty() { "is empty" } else { "does not begin like one" };
    Err(Trouble::refused(path, format_args!("is not a {name} file: it {what}")))
}

/// Refuses a file whose name says text and whose first bytes say something else: each of its lines would be a reject.
fn refuse_packed(path: &Path, head: &[u8]) -> Result<(), Trouble> {
    let (name, ending) = match head {
        [0x1f, 0x8b, ..] => ("gzip", ".gz"),
        [0x28, 0xb5, 0x2f, 0xfd] => ("zstd", ".zst"),
        b"PAR1" => return Err(Trouble::refused(path, "is a Parquet file; its name must end in .parquet")),
        _ => return Ok(()),
    };
    let what = format_args!("is a {name} file; name it {}{ending}", path.display());
    Err(Trouble::refused(path, what))
}

/// Refuses a JSON array: it has records, but not one a line.
fn refuse_array(path: &Path, packing: Packing) -> Result<(), Trouble> {
    let mut blocks =
        Blocks::of_file(open(path)?, packing, Meter::default()).map_err(|e| cannot_open(path, e))?;
    let mut head = Vec::new();
    // What cannot be read is told with its place when its turn comes.
    let _ = blocks.fill(&mut head, HEAD_BYTES);
    if head.trim_ascii_start().first() == Some(&b'[') {
        return Err(Trouble::refused(path, "is a JSON array; one record a line is read"));
    }
    Ok(())
}

pub(crate) fn open(path: &Path) -> Result<File, Trouble> {
    let mut options = File::options();
    options.read(true);
    if path.metadata().is_ok_and(|found| found.file_type().is_fifo()) {
        // Opening it would wait for a writer, and whoever is to end would not hear of it. Reads wait for bytes themselves.
        options.custom_flags(OFlags::NONBLOCK.bits() as i32);
    }
    options.open(path).map_err(|e| cannot_open(path, e))
}

/// What was taken of a file is not in it any more, or no longer where it was.
fn no_longer(path: &Path, last: u64, why: &dyn Display) -> Trouble {
    let what = format!(
        "is not what was taken of it, up to line {last}: {why}; a file that was read may only grow. Put it back as it was, with new lines behind \
         those, or in a new file that is added behind it in the list; then start again"
    );
    Trouble::refused(path, what)
}

pub(crate) fn cannot_open(path: &Path, cause: io::Error) -> Trouble {
    Trouble::at(path, "cannot be opened").because(cause)
}
