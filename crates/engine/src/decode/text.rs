//! JSON's strings and numbers as bytes: where they end, and what escapes stand for.
//!
//! **text** -> guess, tape, scan, read (the lowest floor of decode)

/// The end of the number of JSON's grammar that starts at `at`, or `None` where none does.
#[inline]
pub(super) fn number_end(bytes: &[u8], at: usize) -> Option<usize> {
    let digits = |mut at: usize| {
        let start = at;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        (at > start).then_some(at)
    };
    let start = at + usize::from(bytes.get(at) == Some(&b'-'));
    let mut end = digits(start)?;
    if bytes[start] == b'0' && end > start + 1 {
        return None;
    }
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1)?;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        end = digits(end + 1 + sign)?;
    }
    Some(end)
}

/// Whether all of `bytes` is one number of JSON's grammar.
pub(super) fn is_number(bytes: &[u8]) -> bool {
    number_end(bytes, 0) == Some(bytes.len())
}

/// The closing quote of the string whose inside starts at `at`, and whether it has escapes; `None` where the string
/// does not end, holds a control character, or an escape that stands for nothing (a lone surrogate too).
pub(super) fn string_end(bytes: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut escaped = false;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some((at, escaped)),
            b'\\' => {
                escaped = true;
                at = escape(bytes, at)?.1;
            }
            0..0x20 => return None,
            _ => at += 1,
        }
    }
}

/// Appends the text of a string whose escapes are valid.
pub(super) fn unescape(inside: &[u8], text: &mut Vec<u8>) {
    let mut at = 0;
    while at < inside.len() {
        if inside[at] != b'\\' {
            text.push(inside[at]);
            at += 1;
            continue;
        }
        let Some((character, end)) = escape(inside, at) else { return };
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        at = end;
    }
}

/// What the escape whose backslash is at `at` stands for, and where it ends.
fn escape(bytes: &[u8], at: usize) -> Option<(char, usize)> {
    let character = match *bytes.get(at + 1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let high = hex(bytes, at + 2)?;
            if (0xd800..0xdc00).contains(&high) {
                if bytes.get(at + 6..at + 8)? != b"\\u" {
                    return None;
                }
                let low = hex(bytes, at + 8)?;
                if !(0xdc00..0xe000).contains(&low) {
                    return None;
                }
                let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Some((char::from_u32(code)?, at + 12));
            }
            // None for a low surrogate alone.
            return Some((char::from_u32(high)?, at + 6));
        }
        _ => return None,
    };
    Some((character, at + 2))
}

fn hex(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.iter().try_fold(0, |code, &byte| Some(code << 4 | char::from(byte).to_digit(16)?))
}
