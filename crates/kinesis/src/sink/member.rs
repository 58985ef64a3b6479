//! Find a member of a line that the engine wrote.
//!
//! Holds: only valid JSON objects come in, so that skipping may be simple; where they are not, nothing is found.
//! Not here: what the member means.

use std::borrow::Cow;

/// Characters of a partition key; the service takes no longer ones.
const KEY_CHARACTERS_MAX: usize = 256;

/// The value of a member, as it stands in the line; `path` goes down by a dot.
pub(super) fn raw<'a>(line: &'a [u8], path: &str) -> Option<&'a [u8]> {
    path.split('.').try_fold(line, |object, name| value(object, name.as_bytes()))
}

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

fn value<'a>(object: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut at = skip_space(object, 0);
    if object.get(at) != Some(&b'{') {
        return None;
    }
    loop {
        at = skip_space(object, at + 1);
        let name_end = skip_value(object, at)?;
        let found = object.get(at + 1..name_end.checked_sub(1)?)?;
        at = skip_space(object, name_end);
        if object.get(at) != Some(&b':') {
            return None;
        }
        let begin = skip_space(object, at + 1);
        let end = skip_value(object, begin)?;
        if found == name {
            return object.get(begin..end);
        }
        at = skip_space(object, end);
        if object.get(at) != Some(&b',') {
            return None;
        }
    }
}

fn skip_space(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Behind the value that begins here.
fn skip_value(bytes: &[u8], from: usize) -> Option<usize> {
    let (mut at, mut depth, mut in_text) = (from, 0_usize, false);
    loop {
        let byte = *bytes.get(at)?;
        if in_text {
            match byte {
                b'\\' => at += 1,
                b'"' => {
                    in_text = false;
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        } else {
            match byte {
                b'"' => in_text = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' | b',' | b':' if depth == 0 => return Some(at),
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        at += 1;
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
