//! Text of numbers, times and identifiers, appended to a buffer.
//!
//! worlds -> **text** -> bytes of the event
//!
//! Holds: ASCII only, nothing that JSON would have to escape, no allocation beyond the buffer's.

/// Days from 0000-03-01 to 1970-01-01, for the civil calendar below.
const DAYS_TO_EPOCH: i64 = 719_468;
const DAY_MS: i64 = 86_400_000;

/// Decimal digits of `value`.
pub(crate) fn number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// `value` with leading zeroes up to `WIDTH` digits; higher digits are cut.
pub(crate) fn padded<const WIDTH: usize>(out: &mut Vec<u8>, value: u64) {
    let mut rest = value;
    let mut digits = [b'0'; WIDTH];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits);
}

/// Minor units as `12.34`.
pub(crate) fn cents(out: &mut Vec<u8>, value: u64) {
    number(out, value / 100);
    let rest = value % 100;
    out.extend_from_slice(&[b'.', b'0' + (rest / 10) as u8, b'0' + (rest % 10) as u8]);
}

/// Eight digits at once: nibbles are spread to bytes, then moved to `0`..`9` and `a`..`f`.
fn hex_of_32(value: u32) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let spread = u64::from(value);
    let spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff;
    let spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (spread | spread << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // 1 in each byte whose nibble is 10 or more.
    let letters = (nibbles + 6 * ONES) >> 4 & ONES;
    (nibbles + 0x30 * ONES + letters * u64::from(b'a' - b'0' - 10)).to_be_bytes()
}

fn hex_of_64(value: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    digits[..8].copy_from_slice(&hex_of_32((value >> 32) as u32));
    digits[8..].copy_from_slice(&hex_of_32(value as u32));
    digits
}

/// 16 hexadecimal digits.
pub(crate) fn hex(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&hex_of_64(value));
}

/// 36 characters, as the bits stand.
pub(crate) fn uuid(out: &mut Vec<u8>, bits: u128) {
    let (high, low) = (hex_of_64((bits >> 64) as u64), hex_of_64(bits as u64));
    let mut text = [b'-'; 36];
    text[..8].copy_from_slice(&high[..8]);
    text[9..13].copy_from_slice(&high[8..12]);
    text[14..18].copy_from_slice(&high[12..]);
    text[19..23].copy_from_slice(&low[..4]);
    text[24..].copy_from_slice(&low[4..]);
    out.extend_from_slice(&text);
}

/// `a.b.c.d`, the low 32 bits.
pub(crate) fn ipv4(out: &mut Vec<u8>, address: u32) {
    for (place, byte) in address.to_be_bytes().into_iter().enumerate() {
        if place > 0 {
            out.push(b'.');
        }
        number(out, u64::from(byte));
    }
}

/// Writes RFC 3339 times; remembers the day, since most events share it with the one before.
#[derive(Debug, Clone)]
pub(crate) struct TimeText {
    day: i64,
    text: [u8; 24],
}

impl TimeText {
    pub(crate) fn new() -> Self {
        let mut new = Self { day: 0, text: *b"1970-01-01T00:00:00.000Z" };
        new.set_day(0);
        new
    }

    /// `2026-01-02T03:04:05.678Z`.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, time_ms: i64) {
        let day = time_ms.div_euclid(DAY_MS);
        if day != self.day {
            self.set_day(day);
        }
        let of_day = time_ms.rem_euclid(DAY_MS) as u64;
        let seconds = of_day / 1_000;
        two(&mut self.text[11..13], seconds / 3_600);
        two(&mut self.text[14..16], seconds / 60 % 60);
        two(&mut self.text[17..19], seconds % 60);
        let ms = of_day % 1_000;
        self.text[20] = b'0' + (ms / 100) as u8;
        two(&mut self.text[21..23], ms % 100);
        out.extend_from_slice(&self.text);
    }

    fn set_day(&mut self, day: i64) {
        self.day = day;
        let (year, month, of_month) = civil(day);
        let year = year.clamp(0, 9_999) as u64;
        two(&mut self.text[0..2], year / 100);
        two(&mut self.text[2..4], year % 100);
        two(&mut self.text[5..7], month);
        two(&mut self.text[8..10], of_month);
    }
}

fn two(text: &mut [u8], value: u64) {
    text[0] = b'0' + (value / 10) as u8;
    text[1] = b'0' + (value % 10) as u8;
}

/// Year, month and day of a day number, proleptic Gregorian (Hinnant's `civil_from_days`).
fn civil(day: i64) -> (i64, u64, u64) {
    let shifted = day + DAYS_TO_EPOCH;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u64, of_month as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_equal_another_calendar() {
        let mut text = TimeText::new();
        for time_ms in
            [0, -1, 1_767_225_600_000, 951_782_399_999, 951_868_800_001, 4_107_542_400_123, 86_399_999]
        {
            let mut out = Vec::new();
            text.write(&mut out, time_ms);
            let theirs = jiff::Timestamp::from_millisecond(time_ms).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), format!("{theirs:.3}"));
        }
    }

    #[test]
    fn numbers_and_identifiers() {
        let mut out = Vec::new();
        cents(&mut out, 1_205);
        out.push(b' ');
        padded::<5>(&mut out, 42);
        out.push(b' ');
        ipv4(&mut out, 0x0a00_00ff);
        out.push(b' ');
        uuid(&mut out, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!(
            std::str::from_utf8(&out).unwrap(),
            "12.05 00042 10.0.0.255 01234567-89ab-cdef-0123-456789abcdef"
        );
    }
}
