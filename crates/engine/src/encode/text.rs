//! Write text as the inside of a JSON string, and a record's own bytes as one line.
//!
//! plan, line, reject -> **text** -> output bytes
//!
//! Holds: what is written holds no control character, bare quote or line end.

/// Appends `text` escaped for the inside of a JSON string.
pub(super) fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let short: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..=0x1f => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[done..at]);
        done = at + 1;
        if short.is_empty() {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        } else {
            out.extend_from_slice(short);
        }
    }
    out.extend_from_slice(&bytes[done..]);
}

/// Appends `text` as a JSON string.
pub(super) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_escaped(out, text);
    out.push(b'"');
}

/// Appends a valid JSON text as it stands, but on one line: a raw line end can only be white space between
/// tokens (inside a string it would not be JSON), so a space takes its place. None is looked for where it is known to be one line.
pub(super) fn push_one_line(out: &mut Vec<u8>, json: &[u8], is_known: bool) {
    let start = out.len();
    out.extend_from_slice(json);
    if !is_known && memchr::memchr2(b'\n', b'\r', json).is_some() {
        for byte in &mut out[start..] {
            if matches!(*byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_reads_back() {
        let all: String =
            (0..0x250u32).filter_map(char::from_u32).chain("\u{1f600}\u{ffff}".chars()).collect();
        let mut out = Vec::new();
        push_string(&mut out, &all);
        assert_eq!(serde_json::from_slice::<String>(&out).expect("JSON"), all);
        assert!(out.iter().all(|&byte| byte >= b' '));
    }

    #[test]
    fn line_ends_become_spaces() {
        let mut out = b"x\n".to_vec();
        push_one_line(&mut out, b"{\r\n\"a\":\n\"\\n\"}", false);
        assert_eq!(out, b"x\n{  \"a\": \"\\n\"}");
        out.clear();
        push_one_line(&mut out, b"{\"a\": 1}", true);
        assert_eq!(out, b"{\"a\": 1}");
    }
}
