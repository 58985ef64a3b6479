//! What a file holds, by its extension.
//!
//! paths -> **format** -> files, rows
//!
//! Holds: the extension alone decides (any case); nothing is guessed from contents.

use super::block::Packing;
use crate::Trouble;
use std::path::Path;

/// The extensions that are read, as messages show them.
pub(crate) const ACCEPTED: &str =
    ".jsonl, .ndjson, .json and .csv (each also with .gz or .zst behind it), .parquet";

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    JsonLines(Packing),
    Csv(Packing),
    Parquet,
}

impl Format {
    pub(crate) fn of(path: &Path) -> Result<Self, Trouble> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let (stem, packing) = match name.rsplit_once('.') {
            Some((stem, "gz")) => (stem, Packing::Gzip),
            Some((stem, "zst")) => (stem, Packing::Zstd),
            Some(_) | None => (name.as_str(), Packing::Plain),
        };
        match stem.rsplit_once('.').map(|(_, extension)| extension) {
            Some("jsonl" | "ndjson" | "json") => Ok(Self::JsonLines(packing)),
            Some("csv") => Ok(Self::Csv(packing)),
            Some("parquet") if packing == Packing::Plain => Ok(Self::Parquet),
            Some(_) | None => {
                Err(Trouble::refused(path, format_args!("the format is told by the extension: {ACCEPTED}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_decides() {
        let table = [
            ("a.jsonl", Format::JsonLines(Packing::Plain)),
            ("a.JSON", Format::JsonLines(Packing::Plain)),
            ("d.csv/a.ndjson.gz", Format::JsonLines(Packing::Gzip)),
            ("a.b.json.zst", Format::JsonLines(Packing::Zstd)),
            ("a.csv", Format::Csv(Packing::Plain)),
            ("a.csv.zst", Format::Csv(Packing::Zstd)),
            ("a.parquet", Format::Parquet),
        ];
        for (path, format) in table {
            assert_eq!(Format::of(Path::new(path)).ok(), Some(format), "{path}");
        }
        for path in ["a", "a.gz", "a.txt", "a.parquet.gz", "jsonl", "a.jsonl.bz2", "/"] {
            let message = Format::of(Path::new(path)).err().map(|trouble| trouble.to_string());
            assert_eq!(message, Some(format!("{path}: the format is told by the extension: {ACCEPTED}")));
        }
    }
}
