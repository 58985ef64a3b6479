//! A value of the record as text or as a number.
//!
//! read, items -> **value** -> number, text
//!
//! Holds: escapes are resolved before anything is looked at. Missing is absent, null or an empty string.

use super::found::{Kind, Leaf};
use super::{number, text};

/// Whether a value counts as not there.
#[inline]
pub(super) fn is_missing(leaf: Leaf) -> bool {
    match leaf.kind {
        Kind::Absent | Kind::Null => true,
        Kind::Text => leaf.len == 0,
        Kind::True | Kind::False | Kind::Number | Kind::Escaped | Kind::Object | Kind::Array => false,
    }
}

/// Whether [`text`] gives one.
#[inline]
pub(super) fn has_text(leaf: Leaf) -> bool {
    !is_missing(leaf) && !matches!(leaf.kind, Kind::Object | Kind::Array)
}

/// The text of a key or a category: a string's decoded text, a number's digits as written, `true` or `false`; `None`
/// where it is missing, an object or an array.
#[inline(always)]
pub(super) fn text<'a>(leaf: Leaf, record: &'a [u8], buffer: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    match leaf.kind {
        Kind::Text | Kind::Number if leaf.len > 0 => Some(leaf.bytes(record)),
        Kind::Text
        | Kind::Number
        | Kind::Absent
        | Kind::Null
        | Kind::True
        | Kind::False
        | Kind::Escaped
        | Kind::Object
        | Kind::Array => odd_text(leaf, record, buffer),
    }
}

fn odd_text<'a>(leaf: Leaf, record: &'a [u8], buffer: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    match leaf.kind {
        Kind::Absent | Kind::Null | Kind::Object | Kind::Array => None,
        Kind::True => Some(b"true"),
        Kind::False => Some(b"false"),
        Kind::Text | Kind::Number | Kind::Escaped => {
            string(leaf, record, buffer).filter(|text| !text.is_empty())
        }
    }
}

/// A string's decoded text.
#[inline]
pub(super) fn string<'a>(leaf: Leaf, record: &'a [u8], buffer: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    match leaf.kind {
        Kind::Text => Some(leaf.bytes(record)),
        Kind::Escaped => {
            buffer.clear();
            text::unescape(leaf.bytes(record), buffer);
            Some(buffer)
        }
        Kind::Absent | Kind::Null | Kind::True | Kind::False | Kind::Number | Kind::Object | Kind::Array => {
            None
        }
    }
}

/// A number, or a decimal string, in millionths, half to even.
#[inline]
pub(super) fn number(leaf: Leaf, record: &[u8], buffer: &mut Vec<u8>) -> Option<i64> {
    if leaf.kind == Kind::Number {
        return number::micro(leaf.bytes(record), true);
    }
    string(leaf, record, buffer).and_then(|text| number::micro(text, false))
}
