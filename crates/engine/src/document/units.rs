//! Durations and sizes: a whole number and a unit.

const DURATIONS: [(&str, i64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: [(&str, u64); 5] =
    [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// `90s` in ms. Nothing where it is not a whole number and a unit (ms, s, m, h, d), or past 64 bits.
pub fn duration(text: &str) -> Option<i64> {
    let (digits, unit) = split(text)?;
    let (_, factor) = DURATIONS.iter().find(|(name, _)| *name == unit)?;
    digits.parse::<i64>().ok()?.checked_mul(*factor)
}

/// `4GiB` in bytes. Nothing where it is not a whole number and a unit (B, `KiB`, `MiB`, `GiB`, `TiB`), or past 64 bits.
pub fn size(text: &str) -> Option<u64> {
    let (digits, unit) = split(text)?;
    let (_, factor) = SIZES.iter().find(|(name, _)| *name == unit)?;
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The shortest text of a duration.
pub fn duration_text(ms: i64) -> String {
    let (unit, factor) =
        DURATIONS.iter().rev().find(|(_, factor)| ms != 0 && ms % factor == 0).unwrap_or(&DURATIONS[1]);
    format!("{}{unit}", ms / factor)
}

/// The shortest text of a size.
pub fn size_text(bytes: u64) -> String {
    let (unit, factor) = SIZES
        .iter()
        .rev()
        .find(|(_, factor)| bytes != 0 && bytes.is_multiple_of(*factor))
        .unwrap_or(&SIZES[0]);
    format!("{}{unit}", bytes / factor)
}

/// Digits, then letters, both there.
fn split(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|character: char| !character.is_ascii_digit())?;
    (end > 0).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [("0s", 0), ("250ms", 250), ("90s", 90_000), ("10m", 600_000), ("24h", 86_400_000)]
        {
            assert_eq!(duration(text), Some(ms), "{text}");
        }
        for text in ["", "10", "m", "1.5h", "-1s", "1 h", "1h30m", "10min", "9223372036854775807d"] {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!(duration_text(86_400_000), "1d");
        assert_eq!(duration_text(90_000), "90s");
        assert_eq!(duration_text(1), "1ms");
        assert_eq!(duration_text(0), "0s");
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("0B", 0), ("512KiB", 524_288), ("4GiB", 4 << 30)] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "4", "4GB", "4gib", "1.5GiB", "99999999999TiB"] {
            assert_eq!(size(text), None, "{text}");
        }
        assert_eq!(size_text(4 << 30), "4GiB");
        assert_eq!(size_text(1_000), "1000B");
    }
}
