//! Big blocks of bytes from a file, a pipe or a decompressor, into the unused capacity of a buffer.
//!
//! file -> **block** -> lines, csv
//!
//! Holds: a plain file is read by one call a block, into memory that is not zeroed first; a pipe yields what
//! is there, and nothing for at most [`WAIT_MS`]; a decompressor holds its window and two small buffers,
//! however far the data expands; data that expands past all that records do is refused. Not here: line ends, names in messages.

use super::growing::Growing;
use super::meter::Meter;
use flate2::read::MultiGzDecoder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How long a read waits on a silent pipe before it says `Idle`, ms: how fast a reader notices that it should
/// stop. Arbitrary.
pub(crate) const WAIT_MS: i64 = 50;

/// What the decompressors read at a time. Measured: beyond 64 KiB nothing is gained.
const COMPRESSED_BYTES: usize = 128 * 1024;

/// How far compressed data may expand, once it is past [`EXPANDED_BYTES`]. Measured: events of our generators come to 4 to 8
/// times (gzip -9) and 6 to 11 (zstd -19); an id alone keeps a record from a hundredth of its length. Gzip ends near 1,030, which only a bomb comes to.
const EXPANSION_MAX: u64 = 400;

/// What any compressed data may become, bytes, whatever its size: less does no harm.
const EXPANDED_BYTES: u64 = 1 << 30;

/// How the bytes lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// What a fill came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// Bytes were appended, at least one.
    Some,
    /// Nothing is there now.
    Idle,
    /// The end of the bytes.
    End,
}

/// A stream of bytes.
pub(crate) enum Blocks {
    /// A file descriptor as it is.
    Plain { fd: OwnedFd, waits: bool, meter: Meter },
    /// A plain file that grows: at its end there is nothing now.
    Growing(Growing),
    /// Through a decompressor, whose errors come once what it gave before them was taken.
    Packed { reader: Box<dyn io::Read + Send>, failed: Option<io::Error> },
}

impl Blocks {
    /// The bytes of an opened file.
    pub(crate) fn of_file(file: File, packing: Packing, meter: Meter) -> io::Result<Self> {
        let waits = !file.metadata()?.is_file();
        if packing == Packing::Plain {
            return Ok(Self::Plain { fd: file.into(), waits, meter });
        }
        let taken = Arc::new(AtomicU64::new(0));
        let counted = Counted { file, waits, meter, taken: Arc::clone(&taken) };
        let buffered = BufReader::with_capacity(COMPRESSED_BYTES, counted);
        Ok(Self::of_reader(match packing {
            Packing::Zstd => {
                let reader = zstd::stream::read::Decoder::with_buffer(buffered)?;
                Box::new(Bounded { reader, taken, given: 0 })
            }
            Packing::Gzip | Packing::Plain => {
                Box::new(Bounded { reader: MultiGzDecoder::new(buffered), taken, given: 0 })
            }
        }))
    }

    /// The bytes of a descriptor that may be a pipe.
    pub(crate) fn of_pipe(fd: OwnedFd) -> Self {
        Self::Plain { fd, waits: true, meter: Meter::default() }
    }

    /// The lines of a plain file that grows.
    pub(crate) fn of_growing(path: &Path, file: File, meter: Meter) -> Self {
        Self::Growing(Growing::new(path, file, meter))
    }

    /// The bytes of any reader; one that says `WouldBlock` has nothing now.
    pub(crate) fn of_reader(reader: Box<dyn io::Read + Send>) -> Self {
        Self::Packed { reader, failed: None }
    }

    /// Whether it is a plain file, which has what comes next at once; an error there either comes again or was none that lasts.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::Plain { waits: false, .. })
    }

    /// Appends about `want` bytes to `into`.
    pub(crate) fn fill(&mut self, into: &mut Vec<u8>, want: usize) -> io::Result<Fill> {
        let before = into.len();
        into.reserve_exact(want);
        match self {
            Self::Growing(growing) => growing.fill(into, want),
            Self::Plain { fd, waits, meter } => {
                if *waits && !ready(fd)? {
                    return Ok(Fill::Idle);
                }
                match retried(|| rustix::io::read(&*fd, rustix::buffer::spare_capacity(into))) {
                    Ok(0) => Ok(Fill::End),
                    Ok(got) => {
                        meter.advance(got as u64);
                        Ok(Fill::Some)
                    }
                    // A descriptor that was made non-blocking by somebody else, read by them too.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Fill::Idle),
                    Err(error) => Err(error),
                }
            }
            Self::Packed { reader, failed } => {
                if let Some(error) = failed.take() {
                    return Err(error);
                }
                // Reads into capacity that is not zeroed, and tells what it got before an error.
                let result = reader.by_ref().take(want as u64).read_to_end(into);
                match result {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        Ok(if into.len() == before { Fill::Idle } else { Fill::Some })
                    }
                    Err(error) if into.len() == before => Err(error),
                    Err(error) => {
                        *failed = Some(error);
                        Ok(Fill::Some)
                    }
                    Ok(0) => Ok(Fill::End),
                    Ok(_) => Ok(Fill::Some),
                }
            }
        }
    }
}

/// Waits until a descriptor has bytes or is closed, a moment at most.
fn ready(fd: &impl AsFd) -> io::Result<bool> {
    let moment = Timespec { tv_sec: 0, tv_nsec: WAIT_MS * 1_000_000 };
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    Ok(retried(|| poll(&mut fds, Some(&moment)))? > 0)
}

/// Repeats a call that a signal interrupted.
pub(crate) fn retried<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

/// A file that tells the meter, and how many bytes were taken of it.
struct Counted {
    file: File,
    waits: bool,
    meter: Meter,
    taken: Arc<AtomicU64>,
}

/// A decompressor that is held to what was taken for what it gives.
struct Bounded<R> {
    reader: R,
    taken: Arc<AtomicU64>,
    given: u64,
}

impl<R: io::Read> io::Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let taken = self.taken.load(Ordering::Relaxed);
        if self.given > EXPANDED_BYTES && self.given / EXPANSION_MAX > taken {
            return Err(io::Error::other(format!(
                "{taken} compressed bytes expand to more than {EXPANDED_BYTES} and {EXPANSION_MAX} times as many, as no records do"
            )));
        }
        let got = self.reader.read(into)?;
        self.given += got as u64;
        Ok(got)
    }
}

impl io::Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.waits && !ready(&self.file)? {
            // The decompressors go on from here at the next read.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let got = self.file.read(into)?;
        self.meter.advance(got as u64);
        // Read by the thread that adds, so no order is needed.
        self.taken.fetch_add(got as u64, Ordering::Relaxed);
        Ok(got)
    }
}
