//! Times: RFC 3339 text or a count since 1970, as whole milliseconds UTC.
//!
//! read -> **time**
//!
//! Text is a date, `T`, `t` or a space, a time of day, a fraction of any length (cut off at the millisecond), and `Z`,
//! `z`, an offset, or nothing, which is UTC. A date alone is no time. Days are checked against their month. A leap
//! second (`23:59:60` UTC, on any day: which days had one is not known here) is the last millisecond of its day.
//! A count is a number of JSON's grammar, decimals and exponent allowed, cut off at the millisecond.
//!
//! Holds: an accepted time is `TIME_MS_MIN` to `TIME_MS_MAX`.

use super::number::Scaled;
use crate::limits::{TIME_MS_MAX, TIME_MS_MIN};
use crate::reject::Reason;

const DAY_MS: i64 = 86_400_000;

/// A date and time of RFC 3339.
pub(super) fn rfc3339(text: &[u8]) -> Result<i64, Reason> {
    let ms = match usual(text) {
        Some(ms) => ms,
        None => general(text).ok_or(Reason::InvalidTime)?,
    };
    in_range(ms)
}

/// A count since 1970 in `per_second` units a second, as a text that may be no number.
pub(super) fn epoch(text: &[u8], per_second: u64) -> Result<i64, Reason> {
    // 1 a second: x 10^3; 10^9 a second: x 10^-6.
    let digits = 3 - per_second.max(1).ilog10() as i32;
    let scaled = Scaled::parse(text, digits).ok_or(Reason::InvalidTime)?;
    match scaled.whole.map(i64::try_from) {
        Some(Ok(ms)) if !scaled.negative => in_range(ms),
        _ => Err(Reason::TimeOutOfRange),
    }
}

fn in_range(ms: i64) -> Result<i64, Reason> {
    if (TIME_MS_MIN..=TIME_MS_MAX).contains(&ms) { Ok(ms) } else { Err(Reason::TimeOutOfRange) }
}

/// `YYYY-MM-DDTHH:MM:SS.mmmZ` and `YYYY-MM-DDTHH:MM:SSZ`, nothing unusual in them.
#[inline]
fn usual(text: &[u8]) -> Option<i64> {
    let (head, tail) = text.split_first_chunk::<19>()?;
    let ms = match *tail {
        [b'Z'] => 0,
        [b'.', a, b, c, b'Z'] => {
            let digits = [a, b, c].map(|byte| byte.wrapping_sub(b'0'));
            if digits.iter().any(|&digit| digit > 9) {
                return None;
            }
            i64::from(digits[0]) * 100 + i64::from(digits[1]) * 10 + i64::from(digits[2])
        }
        _ => return None,
    };
    let marks = [head[4], head[7], head[10], head[13], head[16]];
    if marks != *b"--T::" {
        return None;
    }
    let clock = clock(head)?;
    if clock.second == 60 {
        return None;
    }
    Some(clock.day * DAY_MS + clock.minute * 60_000 + clock.second * 1000 + ms)
}

/// Day since 1970, minute of the day, second of the minute (0 to 60).
struct Clock {
    day: i64,
    minute: i64,
    second: i64,
}

/// The digits of `YYYY-MM-DD HH:MM:SS`, whatever stands between them.
#[inline(always)]
fn clock(text: &[u8; 19]) -> Option<Clock> {
    let word = |at: usize| text[at..].first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk));
    // A pair's place in its word: `YYYY-MM-`, `-DD HH:M`, `HH:MM:SS`.
    let (date, date_odd) = pairs(word(0), 0x00ff_ff00_ffff_ffff);
    let (day, day_odd) = pairs(word(7), 0x0000_ffff_00ff_ff00);
    let (time, time_odd) = pairs(word(11), 0xffff_00ff_ff00_ffff);
    let pair = |pairs: u64, at: u32| i64::from((pairs >> (8 * at)) as u8);
    let year = pair(date, 0) * 100 + pair(date, 2);
    let (month, day) = (pair(date, 5), pair(day, 1));
    let (hour, minute, second) = (pair(time, 0), pair(time, 3), pair(time, 6));
    if date_odd | day_odd | time_odd != 0 || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    if !(1..=12).contains(&month) || day < 1 || (day > 28 && day > days_of(year, month)) {
        return None;
    }
    Some(Clock { day: day_since_1970(year, month, day), minute: hour * 60 + minute, second })
}

/// Where two digits are side by side, their number in the byte of the first; and not 0 where a byte of `digits` is none.
#[inline(always)]
fn pairs(word: u64, digits: u64) -> (u64, u64) {
    let values = (word ^ u64::from_le_bytes([b'0'; 8])) & digits;
    // From 10 on a byte reaches its highest bit, and none reaches beyond it but one that is odd already.
    let odd = (values.wrapping_add(u64::from_le_bytes([0x76; 8])) | values) & u64::from_le_bytes([0x80; 8]);
    (values.wrapping_mul(10).wrapping_add(values >> 8), odd)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar, for years from 0 to 9999. Years begin in March, so that a leap day is
/// the last day of one (Howard Hinnant's `days_from_civil`); 400 years more keep them from falling below 0.
#[inline(always)]
fn day_since_1970(year: i64, month: i64, day: i64) -> i64 {
    const BEFORE_MONTH: [u32; 12] = [306, 337, 0, 31, 61, 92, 122, 153, 184, 214, 245, 275];
    let year = year as u32 + 400 - u32::from(month <= 2);
    let century = year / 100;
    let days =
        365 * year + year / 4 - century + century / 4 + BEFORE_MONTH[(month - 1) as usize] + day as u32;
    i64::from(days) - 719_469 - 146_097
}

/// Every other form.
fn general(text: &[u8]) -> Option<i64> {
    let (head, mut tail) = text.split_first_chunk::<19>()?;
    let marks = [head[4], head[7], head[13], head[16]];
    if marks != *b"--::" || !matches!(head[10], b'T' | b't' | b' ') {
        return None;
    }
    let clock = clock(head)?;
    let mut ms = 0;
    if let Some((b'.', fraction)) = tail.split_first() {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        let padded = fraction[..digits].iter().chain(b"00").take(3);
        ms = padded.fold(0, |ms, &digit| ms * 10 + i64::from(digit - b'0'));
        tail = &fraction[digits..];
    }
    let minute = clock.day * 1440 + clock.minute - offset(tail)?;
    if clock.second == 60 {
        return (minute.rem_euclid(1440) == 1439).then_some(minute * 60_000 + 59_999);
    }
    Some(minute * 60_000 + clock.second * 1000 + ms)
}

/// Minutes east of UTC.
fn offset(text: &[u8]) -> Option<i64> {
    let sign = match text {
        [] | [b'Z' | b'z'] => return Some(0),
        [b'+', ..] => 1,
        [b'-', ..] => -1,
        _ => return None,
    };
    let [_, h1, h2, b':', m1, m2] = *text else { return None };
    let digits = [h1, h2, m1, m2].map(|byte| i64::from(byte.wrapping_sub(b'0')));
    if digits.iter().any(|&digit| digit > 9) {
        return None;
    }
    let (hours, minutes) = (digits[0] * 10 + digits[1], digits[2] * 10 + digits[3]);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}
