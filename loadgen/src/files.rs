//! Creating files, and finishing them.
//!
//! Holds: a file that exists is not touched without `--force`; every error names the file; what was
//! compressed is finished, so that a run ended early leaves a readable file.
//! Not here: which files go together (`outputs`).

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::args::Refusal;
use anyhow::Context;

/// Bytes collected before a file is written.
const BUFFER: usize = 256 * 1024;
/// The level that keeps up with the generator; a higher one saves a tenth for twice the time.
const ZSTD_LEVEL: i32 = 1;

/// A stream of bytes with an end that must be told.
pub(crate) enum Stream {
    Plain(Box<dyn Write>),
    Gzip(flate2::write::GzEncoder<File>),
    Zstd(zstd::Encoder<'static, File>),
}

impl Stream {
    /// `-` is standard output; `.gz` and `.zst` compress.
    pub(crate) fn create(path: &Path, force: bool) -> anyhow::Result<Self> {
        if is_standard_output(path) {
            return Ok(Stream::Plain(Box::new(io::stdout().lock())));
        }
        let file = create(path, force)?;
        Ok(match ending(path).as_str() {
            "gz" => Stream::Gzip(flate2::write::GzEncoder::new(file, flate2::Compression::fast())),
            "zst" => Stream::Zstd(zstd::Encoder::new(file, ZSTD_LEVEL).with_context(|| name(path))?),
            _ => Stream::Plain(Box::new(file)),
        })
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Plain(to) => to.write_all(bytes),
            Stream::Gzip(to) => to.write_all(bytes),
            Stream::Zstd(to) => to.write_all(bytes),
        }
    }

    /// Hands what was written to the receiver, where it is one.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(to) => to.flush(),
            Stream::Gzip(_) | Stream::Zstd(_) => Ok(()),
        }
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        match self {
            Stream::Plain(mut to) => to.flush(),
            Stream::Gzip(to) => to.finish().map(drop),
            Stream::Zstd(to) => to.finish().map(drop),
        }
    }
}

/// For text that is no event; `-` is standard output.
pub(crate) fn text(path: &Path, force: bool) -> anyhow::Result<Box<dyn Write>> {
    if is_standard_output(path) {
        return Ok(Box::new(io::stdout()));
    }
    Ok(Box::new(buffered(path, force)?))
}

/// A file for a few lines.
pub(crate) fn buffered(path: &Path, force: bool) -> anyhow::Result<BufWriter<File>> {
    Ok(BufWriter::with_capacity(BUFFER, create(path, force)?))
}

pub(crate) fn create(path: &Path, force: bool) -> anyhow::Result<File> {
    let mut options = File::options();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => anyhow::Error::new(error).context(name(path)),
    })
}

/// A refusal to touch it.
pub(crate) fn exists(path: &Path) -> anyhow::Error {
    Refusal(anyhow::anyhow!("{}: exists; --force replaces it", path.display())).into()
}

pub(crate) fn is_standard_output(path: &Path) -> bool {
    path == Path::new("-")
}

/// Lower-case text after the last point.
pub(crate) fn ending(path: &Path) -> String {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default()
}

pub(crate) fn name(path: &Path) -> String {
    if is_standard_output(path) { "standard output".to_owned() } else { path.display().to_string() }
}
