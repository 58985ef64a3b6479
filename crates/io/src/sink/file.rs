//! A folder with `decisions.jsonl`, `alerts.jsonl` and `rejects.jsonl`.
//!
//! engine -> **file** -> disk
//!
//! Holds: a folder that is not empty is refused unless forced; forced, the three files are overwritten in
//! place from their start and cut at the end, so that the pages they have are used again (a fresh GiB costs
//! the kernel about 3 CPU seconds on the machine that this was made on, an overwritten one 0.15), and
//! every other file is left alone. A batch that failed is taken back: the next write lands where it began, so
//! a repeated write doubles nothing. Price of overwriting in place: after a kill the files may end in lines
//! of the run before; they are whole only after `finish` (or drop).
//!
//! Not here: `summary.json` and `features.json`, which the caller writes.

use super::{Delivered, Left, Output, Sink};
use crate::disk::{Disk as _, LocalDisk, make_folder};
use crate::{Advice, Trouble};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How to open the folder.
#[derive(Clone, Copy, Debug)]
pub struct FileSinkOptions {
    /// Write into a folder that is not empty.
    pub force: bool,
    /// Wait at the end until the disk has everything.
    pub sync: bool,
    /// Snapshots count on the files after the machine went down: the disk has what they count on.
    pub settles: bool,
}

/// Pieces in one call; Linux takes 1024.
const PIECES_MAX: usize = 1024;

/// Writes into a folder; see the module.
pub struct FileSink {
    folder: PathBuf,
    /// Decisions, alerts, rejects.
    files: [Lane; 3],
    sync: bool,
    /// None: what was written is delivered.
    delivered: Option<Delivered>,
    finished: bool,
    /// Batches before this were written by a process before. While only they come again the files keep what they have behind them: a
    /// recovery that goes no further has taken nothing away.
    kept_until: Option<u64>,
}

pub(super) struct Lane {
    path: PathBuf,
    file: File,
    /// Bytes of whole batches.
    pub(super) bytes: u64,
}

impl FileSink {
    /// Makes the folder where it is absent and opens the three files.
    pub fn open(folder: &Path, options: FileSinkOptions) -> Result<Self, Trouble> {
        fs::create_dir_all(folder)
            .map_err(|e| Trouble::at(folder, "the folder cannot be made").because(e))?;
        let mut entries =
            fs::read_dir(folder).map_err(|e| Trouble::at(folder, "the folder cannot be read").because(e))?;
        if !options.force && entries.next().is_some() {
            return Err(Trouble::at(folder, "the folder is not empty; --force overwrites what is in it"));
        }
        let lane = |name| Lane::open(folder.join(name));
        let files = [lane("decisions.jsonl")?, lane("alerts.jsonl")?, lane("rejects.jsonl")?];
        Ok(Self {
            folder: folder.to_path_buf(),
            delivered: options.settles.then(|| settled(folder, &files)).transpose()?,
            files,
            sync: options.sync,
            finished: false,
            kept_until: None,
        })
    }
}

/// A frontier that is made durable by syncing the files, from whatever thread.
fn settled(folder: &Path, files: &[Lane; 3]) -> Result<Delivered, Trouble> {
    make_folder(&LocalDisk, folder)
        .and_then(|()| LocalDisk.sync_folder(folder))
        .map_err(|e| Trouble::at(folder, "the folder cannot be synced").because(e))?;
    let handle = |lane: &Lane| {
        let file = lane.file.try_clone().map(|file| (lane.path.clone(), file));
        file.map_err(|e| Trouble::at(&lane.path, "cannot be opened twice").because(e))
    };
    let handles = files.iter().map(handle).collect::<Result<Vec<_>, Trouble>>()?;
    Ok(Delivered::settled_by(move || {
        handles.iter().try_for_each(|(path, file)| {
            file.sync_data().map_err(|e| Trouble::at(path, "cannot be synced").because(e))
        })
    }))
}

impl Sink for FileSink {
    fn write(&mut self, batch: &Output<'_>) -> Result<(), Trouble> {
        if self.kept_until.is_some_and(|next| batch.batch >= next) {
            for lane in &mut self.files {
                lane.cut()?;
            }
            self.kept_until = None;
        }
        let lists = [batch.decisions, batch.alerts, batch.rejects];
        let mut failed = None;
        for (lane, pieces) in self.files.iter_mut().zip(lists) {
            failed = lane.append(pieces).err();
            if failed.is_some() {
                break;
            }
        }
        for (lane, pieces) in self.files.iter_mut().zip(lists) {
            match &failed {
                None => lane.bytes += bytes(pieces),
                Some(_) => lane.take_back()?,
            }
        }
        if let (None, Some(delivered)) = (&failed, &self.delivered) {
            delivered.advance(batch.batch + 1);
        }
        failed.map_or(Ok(()), Err)
    }

    fn delivered(&self) -> Option<Delivered> {
        self.delivered.clone()
    }

    /// Every output is in the files once: they are written over from where the snapshot stands, with the same bytes, and cut before the
    /// first batch that is new.
    fn resume(&mut self, left: &Left) -> Result<u64, Trouble> {
        for (lane, bytes) in self.files.iter_mut().zip(left.bytes) {
            lane.resume(bytes)?;
        }
        self.kept_until = Some(left.next);
        Ok(left.batch)
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        for lane in &mut self.files {
            if self.kept_until.is_none() {
                lane.cut()?;
            }
            if self.sync {
                lane.sync()?;
            }
        }
        self.finished = true;
        if self.sync {
            // The names too: a file whose folder was not synced may be gone after a crash.
            let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
            synced.map_err(|e| Trouble::at(&self.folder, "the folder cannot be synced").because(e))?;
        }
        Ok(())
    }
}

impl Drop for FileSink {
    /// A run that ends early leaves no lines of the run before. There is nobody to tell of an error.
    fn drop(&mut self) {
        if !self.finished && self.kept_until.is_none() {
            for lane in &mut self.files {
                let _ = lane.file.set_len(lane.bytes);
            }
        }
    }
}

impl Lane {
    fn open(path: PathBuf) -> Result<Self, Trouble> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|e| Trouble::at(&path, "cannot be opened for writing").because(e))?;
        Ok(Self { path, file, bytes: 0 })
    }

    /// Goes to what the file held at the snapshot.
    fn resume(&mut self, bytes: u64) -> Result<(), Trouble> {
        let failed =
            |e| Trouble::at(&self.path, format_args!("cannot be gone on with at byte {bytes}")).because(e);
        let held = self.file.metadata().map_err(failed)?.len();
        if held < bytes {
            let what = format!(
                "holds {held} bytes, and the snapshot was taken when it held {bytes}: some of it was removed"
            );
            return Err(Trouble::refused(&self.path, what));
        }
        self.file.seek(SeekFrom::Start(bytes)).map_err(failed)?;
        self.bytes = bytes;
        Ok(())
    }

    /// The same behind what the file has.
    pub(super) fn open_behind(path: PathBuf) -> Result<Self, Trouble> {
        let mut lane = Self::open(path)?;
        let end = lane.file.seek(SeekFrom::End(0));
        lane.bytes = end.map_err(|e| Trouble::at(&lane.path, "its end cannot be found").because(e))?;
        Ok(lane)
    }

    pub(super) fn append(&mut self, pieces: &[&[u8]]) -> Result<(), Trouble> {
        write_pieces(&mut self.file, pieces).map(drop).map_err(|(written, cause)| {
            let what = format!(
                "{written} of {} bytes could be written behind the first {}",
                bytes(pieces),
                self.bytes
            );
            let advice = match cause.kind() {
                // Space may come back; until then nothing is lost, since the batch is kept by the caller.
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Advice::Retry,
                // The world's kinds are an open list.
                _ => Advice::Stop,
            };
            Trouble::at(&self.path, what).because(cause).with_advice(advice)
        })
    }

    pub(super) fn take_back(&mut self) -> Result<(), Trouble> {
        let back = self.file.seek(SeekFrom::Start(self.bytes));
        back.map(drop)
            .map_err(|e| Trouble::at(&self.path, "cannot be taken back to the last batch").because(e))
    }

    /// Takes away what the file has behind its batches.
    pub(super) fn cut(&mut self) -> Result<(), Trouble> {
        let cut = self.file.set_len(self.bytes);
        cut.map_err(|e| {
            Trouble::at(&self.path, format_args!("cannot be cut to {} bytes", self.bytes)).because(e)
        })
    }

    pub(super) fn sync(&mut self) -> Result<(), Trouble> {
        let synced = self.file.sync_all();
        synced.map_err(|e| {
            Trouble::at(&self.path, format_args!("its {} bytes cannot be synced", self.bytes)).because(e)
        })
    }
}

pub(super) fn bytes(pieces: &[&[u8]]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

/// Writes every piece in order and tells how many bytes; how many were written goes with an error.
pub(crate) fn write_pieces(to: &mut impl Write, pieces: &[&[u8]]) -> Result<u64, (u64, io::Error)> {
    let mut written = 0;
    let mut slices = Vec::with_capacity(pieces.len().min(PIECES_MAX));
    for some in pieces.chunks(PIECES_MAX) {
        slices.clear();
        slices.extend(some.iter().filter(|piece| !piece.is_empty()).map(|piece| IoSlice::new(piece)));
        let mut left = slices.as_mut_slice();
        while !left.is_empty() {
            match to.write_vectored(left) {
                Ok(0) => return Err((written, ErrorKind::WriteZero.into())),
                Ok(count) => {
                    written += count as u64;
                    IoSlice::advance_slices(&mut left, count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err((written, error)),
            }
        }
    }
    Ok(written)
}
