//! Tell a format by the first bytes of a file, and name what is refused.
//!
//! Holds: a pickle is never read, whatever format was asked for: it runs code when it is loaded.

use super::Format;
use crate::ModelError;

const PICKLE: &str = "this is a Python pickle (joblib writes the same), which runs code when it is loaded; save the \
                      model with `save_model` as JSON, UBJSON or LightGBM text";

impl Format {
    /// Tells a format by its first bytes, or says what the bytes are instead.
    pub fn sniff(bytes: &[u8]) -> Result<Self, ModelError> {
        if let Some(what) = foreign(bytes) {
            return Err(ModelError::Foreign { what });
        }
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or(b"").trim_ascii_end();
        if line == b"tree" {
            return Ok(Self::LightgbmText);
        }
        match text.strip_prefix(b"{").map(<[u8]>::trim_ascii_start) {
            // An object of UBJSON begins with the type of its first name's length.
            Some([b'L' | b'l' | b'I' | b'i' | b'U' | b'#' | b'$', ..]) => Ok(Self::XgboostUbj),
            Some(rest) if rest.starts_with(b"\"") => {
                let head = &text[..text.len().min(4096)];
                let ours = head.windows(11).any(|window| window == b"\"cartguard.");
                Ok(if ours { Self::LogisticJson } else { Self::XgboostJson })
            }
            _ => Err(ModelError::Foreign {
                what: "it begins like none of XGBoost JSON, XGBoost UBJSON, LightGBM text and our logistic JSON",
            }),
        }
    }
}

/// What the bytes certainly are, where that is refused for every format.
pub(super) fn foreign(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [] => Some("the file is empty"),
        [0x80, 2..=5, ..] => Some(PICKLE),
        // Protocol 0 and 1 have no header; these are how a pickled object of a class begins.
        [b'c', rest @ ..] if rest.starts_with(b"copy_reg\n") || rest.starts_with(b"__builtin__\n") => {
            Some(PICKLE)
        }
        [b'c', rest @ ..] if rest.starts_with(b"xgboost.") || rest.starts_with(b"lightgbm.") => Some(PICKLE),
        [b'c', rest @ ..] if rest.starts_with(b"sklearn.") || rest.starts_with(b"copyreg\n") => Some(PICKLE),
        // Compressed joblib files: zlib, gzip, bzip2, xz.
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => Some(
            "this is zlib-compressed, as joblib writes its pickles; a pickle runs code when it is loaded",
        ),
        [0x1f, 0x8b, ..] => {
            Some("this is gzip-compressed; unpack it (if it is a joblib pickle, it is refused)")
        }
        [b'B', b'Z', b'h', ..] | [0xfd, b'7', b'z', b'X', b'Z', ..] => {
            Some("this is a compressed file; unpack it (if it is a joblib pickle, it is refused)")
        }
        [b'P', b'K', 3, 4, ..] => Some("this is a zip archive (or a saved PyTorch or NumPy file)"),
        [b'b', b'i', b'n', b'f', ..] => Some(
            "this is XGBoost's old binary format, which its maintainers removed; save it again as JSON or UBJSON",
        ),
        _ => None,
    }
}
