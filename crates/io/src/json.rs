//! Text of a file's cell -> text of JSON.
//!
//! csv, parquet -> **json** -> records
//!
//! Holds: what is written between quotes reads back to the same bytes; bytes that are not UTF-8 pass through
//! as they are, for the engine to reject. Not here: numbers.

/// Appends `text` as a JSON string, quotes included.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| ESCAPED[*byte as usize]) {
        out.extend_from_slice(&rest[..at]);
        push_escape(out, rest[at]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Bytes that a JSON string cannot hold as they are.
const ESCAPED: [bool; 256] = {
    let mut escaped = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        escaped[byte] = true;
        byte += 1;
    }
    escaped[b'"' as usize] = true;
    escaped[b'\\' as usize] = true;
    escaped
};

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
    }
}

/// What stands before each value of an object with these members: `{"a":`, `,"b":`.
pub(crate) fn member_heads<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Vec<u8>> {
    let head = |(index, name): (usize, &str)| {
        let mut head = vec![if index == 0 { b'{' } else { b',' }];
        push_string(&mut head, name.as_bytes());
        head.push(b':');
        head
    };
    names.into_iter().enumerate().map(head).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that unwraps says enough where it fails")]
mod tests {
    use super::*;

    #[test]
    fn every_character_reads_back() {
        let text: String = ('\0'..'\u{100}').chain("€😀\u{2028}".chars()).collect();
        let mut out = Vec::new();
        push_string(&mut out, text.as_bytes());
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        out.clear();
        push_string(&mut out, b"a\xffb");
        assert_eq!(out, b"\"a\xffb\"");
    }

    #[test]
    fn heads_join_to_an_object() {
        let heads = member_heads(["a", "say \"b\""]);
        assert_eq!(heads.concat(), br#"{"a":,"say \"b\"":"#);
    }
}
