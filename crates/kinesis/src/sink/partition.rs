//! The partition key of a line.
//!
//! Holds: every line has one, of at most 256 characters.

use cartguard_io::member::raw;
use std::borrow::Cow;

/// Characters of a partition key; the service takes no longer ones.
const KEY_CHARACTERS_MAX: usize = 256;

/// The partition key of a line: the value at `path`, else its sequence.
pub(super) fn key(line: &[u8], path: &str) -> Box<str> {
    let found = raw(line, path).and_then(text).filter(|text| !text.is_empty());
    let found = found.or_else(|| raw(line, "sequence").and_then(text)).unwrap_or(Cow::Borrowed("-"));
    match found.char_indices().nth(KEY_CHARACTERS_MAX) {
        Some((end, _)) => found[..end].into(),
        None => found.into(),
    }
}

/// A text without its quotes; a number as it is written; of nothing else.
fn text(raw: &[u8]) -> Option<Cow<'_, str>> {
    match raw {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => str::from_utf8(inner).ok().map(Cow::Borrowed),
        [b'"', ..] => serde_json::from_slice::<String>(raw).ok().map(Cow::Owned),
        [b'-' | b'0'..=b'9', ..] => str::from_utf8(raw).ok().map(Cow::Borrowed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let line = br#"{"sequence":7,"event_id":"a\"\u00e9","list":[{"x":"}"}],"event":{"card":"c,1","n":12},"z":null}"#;
        for (path, want) in [
            ("event_id", "a\"\u{e9}"),
            ("event.card", "c,1"),
            ("event.n", "12"),
            ("list", "7"),
            ("z", "7"),
            ("absent", "7"),
            ("event.absent", "7"),
        ] {
            assert_eq!(&*key(line, path), want, "{path}");
        }
        assert_eq!(&*key(b"{}", "event_id"), "-");
        assert_eq!(&*key(br#"{"event_id":""}"#, "event_id"), "-");
        let long = format!(r#"{{"id":"{}"}}"#, "\u{fc}".repeat(300));
        assert_eq!(key(long.as_bytes(), "id").chars().count(), 256);
        for torn in 0..line.len() {
            key(&line[..torn], "event.card");
        }
    }
}
