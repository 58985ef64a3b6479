//! JSON's strings and numbers as bytes: where they end, and what escapes stand for.
//!
//! **text** -> guess, tape, scan, read (the lowest floor of decode)

use wide::i8x16;

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

/// The end of the number at the beginning of `bytes`, where it has no sign, no exponent and at most 7 bytes, and 8 bytes
/// are there to look at; `None` tells nothing.
#[inline(always)]
pub(super) fn usual_number_end(bytes: &[u8]) -> Option<usize> {
    let word = u64::from_le_bytes(*bytes.first_chunk()?);
    let digits = leading_digits(word);
    if digits == 0 || digits > 7 || (digits > 1 && bytes[0] == b'0') {
        return None;
    }
    let mut end = digits;
    let mut behind = word >> (8 * digits);
    if behind as u8 == b'.' {
        behind >>= 8;
        let decimals = leading_digits(behind);
        end += 1 + decimals;
        behind = behind.unbounded_shr(8 * decimals as u32);
        if decimals == 0 || end > 7 {
            return None;
        }
    }
    (behind as u8 | 0x20 != b'e').then_some(end)
}

/// How many of the bytes of a word, the lowest first, are digits before one that is none.
#[inline(always)]
fn leading_digits(word: u64) -> usize {
    let digits = word ^ u64::from_le_bytes([b'0'; 8]);
    // From 10 on a byte reaches the highest bit; marks above the lowest may be false.
    let others =
        (digits.wrapping_add(u64::from_le_bytes([0x76; 8])) | digits) & u64::from_le_bytes([0x80; 8]);
    others.trailing_zeros() as usize / 8
}

/// Whether all of `bytes` is one number of JSON's grammar.
pub(super) fn is_number(bytes: &[u8]) -> bool {
    number_end(bytes, 0) == Some(bytes.len())
}

/// The next byte that is no white space, or the end.
#[inline]
pub(super) fn spaces(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// The closing quote of the string whose inside starts at `at`, and whether it has escapes; `None` where the string
/// does not end, holds a control character, or an escape that stands for nothing (a lone surrogate too).
#[inline]
pub(super) fn string_end(bytes: &[u8], at: usize) -> Option<(usize, bool)> {
    let at = at + stop::<false>(bytes.get(at..)?)?;
    if bytes[at] == b'"' { Some((at, false)) } else { escaped_end(bytes, at) }
}

fn escaped_end(bytes: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut escaped = false;
    loop {
        match bytes[at] {
            b'"' => return Some((at, escaped)),
            b'\\' => {
                escaped = true;
                at = escape(bytes, at)?.1;
            }
            _ => return None,
        }
        at += stop::<false>(bytes.get(at..)?)?;
    }
}

/// The first quote, backslash or control character; where `HIGH`, the first byte that is no ASCII too.
#[inline(always)]
pub(super) fn stop<const HIGH: bool>(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    while let Some((chunk, behind)) = rest.split_first_chunk() {
        let stops = stops::<HIGH>(chunk);
        if stops != 0 {
            return Some(bytes.len() - rest.len() + stops.trailing_zeros() as usize);
        }
        rest = behind;
    }
    let offset = rest.iter().position(|&byte| is_stop::<HIGH>(byte))?;
    Some(bytes.len() - rest.len() + offset)
}

/// A bit for each byte at which [`stop`] stops.
#[inline(always)]
fn stops<const HIGH: bool>(chunk: &[u8; 16]) -> u32 {
    let bytes = i8x16::new(chunk.map(|byte| byte as i8));
    let is = |byte: u8| bytes.simd_eq(i8x16::splat(byte as i8));
    // As a signed number a byte that is no ASCII is below all others.
    let low = i8x16::splat(0x20).simd_gt(bytes);
    let low = if HIGH { low } else { low & !i8x16::ZERO.simd_gt(bytes) };
    (is(b'"') | is(b'\\') | low).to_bitmask()
}

fn is_stop<const HIGH: bool>(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\' || (HIGH && byte >= 0x80)
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
