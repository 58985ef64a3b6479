//! Decimal numbers of JSON's grammar as integers at a scale, exactly.
//!
//! read, items -> **number**
//!
//! `value x 10^digits` is cut into a whole part and the digits that are left, from the text alone: no float, no limit on
//! length or exponent. What becomes of the rest (refused, rounded, cut off) is the caller's rule.

use super::text;
use crate::limits::NUMBER_MICRO_MAX;

/// A number scaled: `+-(whole + 0.rest)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scaled<'a> {
    pub(super) negative: bool,
    /// `None` from 10^19 on.
    pub(super) whole: Option<u64>,
    rest: Rest<'a>,
}

/// Digits behind the point: zeros, then digits of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rest<'a> {
    zeros: u64,
    /// The significand's digits before and behind its point, what is left of them.
    digits: [&'a [u8]; 2],
}

impl<'a> Scaled<'a> {
    /// `text` x 10^`digits`, or `None` where it is not a number of JSON's grammar.
    pub(super) fn parse(text: &'a [u8], digits: i32) -> Option<Self> {
        text::is_number(text).then(|| Self::of_number(text, digits))
    }

    /// The same of a text that is known to be a number.
    pub(super) fn of_number(text: &'a [u8], digits: i32) -> Self {
        let negative = text.first() == Some(&b'-');
        let text = &text[usize::from(negative)..];
        let (significand, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (&text[..at], exponent(&text[at + 1..])),
            None => (text, 0),
        };
        let (before, behind) = match significand.iter().position(|&byte| byte == b'.') {
            Some(at) => (&significand[..at], &significand[at + 1..]),
            None => (significand, &significand[significand.len()..]),
        };
        // Digits that stand before the scaled point, counted from the first digit of the text.
        let mut point = before.len() as i64 + exponent + i64::from(digits);
        let mut left = [before, behind];
        while let Some((b'0', rest)) = first(left) {
            left = rest;
            point -= 1;
        }
        if first(left).is_none() {
            return Self { negative, whole: Some(0), rest: Rest { zeros: 0, digits: left } };
        }
        if point > 19 {
            let [before, behind] = left;
            let cut = before.len().min(point as usize);
            let rest = [&before[cut..], &behind[behind.len().min(point as usize - cut)..]];
            return Self { negative, whole: None, rest: Rest { zeros: 0, digits: rest } };
        }
        let mut whole = 0_u64;
        for _ in 0..point {
            let digit = match first(left) {
                Some((byte, rest)) => {
                    left = rest;
                    byte - b'0'
                }
                None => 0,
            };
            whole = whole * 10 + u64::from(digit);
        }
        let zeros = point.min(0).unsigned_abs();
        Self { negative, whole: Some(whole), rest: Rest { zeros, digits: left } }
    }

    /// Whether nothing is left behind the point.
    pub(super) fn is_whole(&self) -> bool {
        self.rest.is_zero()
    }

    /// The nearest integer, half to even; `None` from 10^19 on.
    pub(super) fn half_even(&self) -> Option<u64> {
        let whole = self.whole?;
        let up = match self.rest.first() {
            0..=4 => false,
            5 if self.rest.behind_first_is_zero() => whole % 2 == 1,
            _ => true,
        };
        Some(whole + u64::from(up))
    }

    /// The integer that lies at most 10^-6 away, if there is one.
    pub(super) fn near(&self) -> Option<u64> {
        let whole = self.whole?;
        let (micro, exact) = self.rest.micro();
        match micro {
            0 => Some(whole),
            1 if exact => Some(whole),
            999_999 => Some(whole + 1),
            _ => None,
        }
    }
}

impl Rest<'_> {
    fn is_zero(&self) -> bool {
        self.digits.iter().all(|part| part.iter().all(|&byte| byte == b'0'))
    }

    fn first(&self) -> u8 {
        if self.zeros > 0 { 0 } else { first(self.digits).map_or(0, |(byte, _)| byte - b'0') }
    }

    fn behind_first_is_zero(&self) -> bool {
        match first(self.digits) {
            Some((_, digits)) if self.zeros == 0 => Rest { zeros: 0, digits }.is_zero(),
            _ => self.is_zero(),
        }
    }

    /// The first six digits, and whether all others are 0.
    fn micro(&self) -> (u32, bool) {
        let (mut micro, mut left) = (0, self.digits);
        for place in 0..6 {
            let digit = match first(left) {
                Some((byte, rest)) if place >= self.zeros => {
                    left = rest;
                    byte - b'0'
                }
                _ => 0,
            };
            micro = micro * 10 + u32::from(digit);
        }
        (micro, Rest { zeros: 0, digits: left }.is_zero())
    }
}

/// Powers of ten, to scale [`short`] numbers by.
pub(super) const POWERS: [i64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// A number in millionths, half to even; `None` where the text is none or it is out of `NUMBER_MICRO_MAX`.
#[inline]
pub(super) fn micro(text: &[u8], known: bool) -> Option<i64> {
    if let [digit @ b'0'..=b'9'] = *text {
        return Some(i64::from(digit - b'0') * POWERS[6]);
    }
    if let Some((units, decimals @ 0..=6)) = short(text) {
        return within(units * POWERS[6 - decimals as usize], false);
    }
    general_micro(text, known)
}

fn general_micro(text: &[u8], known: bool) -> Option<i64> {
    if !known && !text::is_number(text) {
        return None;
    }
    let scaled = Scaled::of_number(text, 6);
    within(i64::try_from(scaled.half_even()?).ok()?, scaled.negative)
}

fn within(absolute: i64, negative: bool) -> Option<i64> {
    (absolute <= NUMBER_MICRO_MAX).then_some(if negative { -absolute } else { absolute })
}

/// The usual number: no sign, no exponent, at most 12 bytes. Its digits as one integer, and how many are behind the point;
/// `None` for every other text.
#[inline]
pub(super) fn short(text: &[u8]) -> Option<(i64, u32)> {
    if text.len() <= 8 { of_word(text) } else { byte_by_byte(text) }
}

/// [`short`] of at most eight bytes, all at once.
#[inline]
fn of_word(text: &[u8]) -> Option<(i64, u32)> {
    let len = text.len();
    let (word, above) = match len {
        8 => (word(text), 0),
        4.. => (half(text) | half(&text[len - 4..]) << (8 * (len - 4)), u64::MAX << (8 * len)),
        1.. => {
            let byte = |at: usize| u64::from(text[at]) << (8 * at);
            (byte(0) | byte(len / 2) | byte(len - 1), u64::MAX << (8 * len))
        }
        0 => return None,
    };
    // The values of the digits, the first in the lowest byte, and zeros behind the text.
    let values = (word ^ u64::from_le_bytes([b'0'; 8])) & !above;
    // From 10 on a byte reaches the highest bit. A point does no more; what does is no number anyway.
    let odd = (values.wrapping_add(u64::from_le_bytes([0x76; 8])) | values) & u64::from_le_bytes([0x80; 8]);
    let (digits, before) = if odd == 0 {
        (values, len)
    } else {
        let point = odd.trailing_zeros() as usize / 8;
        if odd & (odd - 1) != 0 || text[point] != b'.' || point == 0 || point + 1 == len {
            return None;
        }
        let below = (1 << (8 * point)) - 1;
        ((values & below) | (values >> 8 & !below), point)
    };
    if before > 1 && text[0] == b'0' {
        return None;
    }
    let decimals = (len - before).saturating_sub(1);
    let count = if odd == 0 { len } else { len - 1 };
    // Zeros before them make eight digits; neighbours become pairs, fours, the whole.
    let eight = digits << (8 * (8 - count));
    let pairs = (eight.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    let all = fours.wrapping_mul(10_000 << 32 | 1) >> 32;
    Some((all as i64, decimals as u32))
}

fn byte_by_byte(text: &[u8]) -> Option<(i64, u32)> {
    if text.len() > 12 {
        return None;
    }
    let (mut units, mut point) = (0_i64, None);
    for (at, &byte) in text.iter().enumerate() {
        if byte.is_ascii_digit() {
            units = units * 10 + i64::from(byte - b'0');
        } else if byte == b'.' && point.is_none() && at > 0 && at + 1 < text.len() {
            point = Some(at);
        } else {
            return None;
        }
    }
    let before = point.unwrap_or(text.len());
    if before > 1 && text[0] == b'0' {
        return None;
    }
    Some((units, (text.len() - before).saturating_sub(1) as u32))
}

#[inline]
fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[inline]
fn half(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |chunk| u64::from(u32::from_le_bytes(*chunk)))
}

/// The first digit, and the others.
fn first([before, behind]: [&[u8]; 2]) -> Option<(u8, [&[u8]; 2])> {
    if let Some((&byte, rest)) = before.split_first() {
        return Some((byte, [rest, behind]));
    }
    behind.split_first().map(|(&byte, rest)| (byte, [before, rest]))
}

/// An exponent; past 10^15 it stays there, which is further than any digits of a record reach.
fn exponent(text: &[u8]) -> i64 {
    let negative = text.first() == Some(&b'-');
    let digits = &text[usize::from(matches!(text.first(), Some(b'+' | b'-')))..];
    let absolute = digits
        .iter()
        .fold(0_i64, |sum, &byte| (sum * 10 + i64::from(byte - b'0')).min(1_000_000_000_000_000));
    if negative { -absolute } else { absolute }
}
