//! Find a member of a line that the engine wrote.
//!
//! Holds: only valid JSON objects come in, so that skipping may be simple; where they are not, nothing is found, or something
//! that is within the line. Not here: what a member means.

/// The value of a member, as it stands in the line; `path` goes down by a dot.
pub fn raw<'a>(line: &'a [u8], path: &str) -> Option<&'a [u8]> {
    path.split('.').try_fold(line, |object, name| value(object, name.as_bytes()))
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
    fn members_at_any_depth_and_torn_lines() {
        let line = br#"{"a":"x\"}" , "list":[{"x":"}"}],"event":{"card":"c,1","n":12},"z":null}"#;
        for (path, want) in [
            ("a", Some(r#""x\"}""#)),
            ("list", Some(r#"[{"x":"}"}]"#)),
            ("event.card", Some(r#""c,1""#)),
            ("event.n", Some("12")),
            ("z", Some("null")),
            ("card", None),
            ("event.absent", None),
            ("z.a", None),
        ] {
            assert_eq!(raw(line, path), want.map(str::as_bytes), "{path}");
        }
        for torn in 0..line.len() {
            raw(&line[..torn], "event.card");
        }
    }
}
