//! Read whole files with a limit, and write files so that nobody sees half of one.
//!
//! **files** -> `manifest`, `golden`, `folder`, `import`
//!
//! Holds: no more is read or allocated than the limit; only regular files are opened (a pipe would wait for
//! ever); what was written is on the disk before it gets its name.

use super::fault::Fault;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};

/// Manifest, feature names and provenance, bytes. Arbitrary: 65,536 names of 60 letters.
pub(super) const TEXT_BYTES_MAX: usize = 4 << 20;
/// Golden rows, bytes. Derived: twice what [`super::golden`] writes at most.
pub(super) const GOLDEN_BYTES_MAX: usize = 64 << 20;

/// Reads a file of at most `max` bytes.
pub(super) fn read(path: &Path, max: usize) -> Result<Vec<u8>, Fault> {
    let size = size(path)?;
    if size > max as u64 {
        let what = format_args!("has {size} bytes, more than the {max} that are accepted");
        return Err(Fault::refused(path, what));
    }
    let unreadable = |cause| Fault::world(path, "cannot be read", cause);
    let mut bytes = Vec::with_capacity(size as usize);
    // One more than was seen: a file that grows meanwhile is noticed by its size.
    let limit = size.saturating_add(1);
    File::open(path).map_err(unreadable)?.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 != size {
        return Err(Fault::refused(path, "changed while it was read"));
    }
    Ok(bytes)
}

/// The same as text; a byte order mark at its begin is left out.
pub(super) fn read_text(path: &Path, max: usize) -> Result<String, Fault> {
    let text = String::from_utf8(read(path, max)?)
        .map_err(|error| Fault::refused(path, format_args!("is not UTF-8: {}", error.utf8_error())))?;
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
}

/// Bytes of a regular file.
pub(super) fn size(path: &Path) -> Result<u64, Fault> {
    let metadata = fs::metadata(path).map_err(|cause| Fault::world(path, "cannot be read", cause))?;
    if !metadata.is_file() {
        let kind = if metadata.is_dir() { "a folder" } else { "neither a file nor a folder" };
        return Err(Fault::refused(path, format_args!("is {kind}; a file is needed")));
    }
    Ok(metadata.len())
}

/// The path of a folder's file: a plain name, and behind all links still within the folder.
pub(super) fn inside(folder: &Path, name: &str) -> Result<PathBuf, Fault> {
    let path = folder.join(name);
    let mut parts = Path::new(name).components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) || name.ends_with('/') {
        let what = format_args!("the file `{name}`: a plain name within the folder is needed");
        return Err(Fault::refused(&folder.join("manifest.toml"), what));
    }
    let real = |path: &Path| path.canonicalize().map_err(|why| Fault::world(path, "cannot be read", why));
    let (real_folder, real_file) = (real(folder)?, real(&path)?);
    if !real_file.starts_with(real_folder) {
        let what = format_args!("is a link out of the folder, to {}", real_file.display());
        return Err(Fault::refused(&path, what));
    }
    Ok(path)
}

/// In hexadecimal, small letters.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a new file and has it on the disk.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    let unwritable = |cause| Fault::world(path, "cannot be written", cause);
    let mut file = File::create_new(path).map_err(unwritable)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(unwritable)
}

/// A path beside `path` for what is not finished; it begins with a dot, which no model's name does.
pub(super) fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.unfinished", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_written_in_small_letters() {
        // FIPS 180-2, "abc".
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_file_of_a_folder_has_a_plain_name() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["../x", "/etc/passwd", "a/b", "", ".", "..", "a/"] {
            let fault = inside(folder.path(), name).expect_err(name);
            assert!(fault.to_string().contains("a plain name"), "{name}: {fault}");
        }
    }

    #[test]
    fn links_may_not_lead_out_nor_in_circles() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).expect("made");
        fs::write(folder.path().join("secret"), "x").expect("written");
        std::os::unix::fs::symlink("../secret", inner.join("out")).expect("linked");
        std::os::unix::fs::symlink("circle", inner.join("circle")).expect("linked");
        let message = |name| inside(&inner, name).expect_err(name).to_string();
        assert!(message("out").contains("a link out of the folder"), "{}", message("out"));
        assert!(message("circle").contains("circle: cannot be read"), "{}", message("circle"));
    }
}
