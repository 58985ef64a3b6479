//! One look at all bytes of a record: where its quotes are, and whether anything in it needs a real parser.
//!
//! **survey** -> guess
//!
//! Sixteen bytes at a time with SSE2, which every x86-64 has (the instructions are safe to call, there is no `unsafe`);
//! eight at a time elsewhere. A test holds the two equal. Wider registers would need run-time dispatch, which is not safe to call.

/// What a survey found, kept between records.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// A bit for each byte: whether it is a quote.
    quotes: Vec<u64>,
}

/// Bytes of a block, in bits: a quote; a control character or a backslash; beyond ASCII.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Marks {
    quotes: u64,
    odd: u64,
    high: u64,
}

impl Survey {
    /// Surveys a record. False where it is not UTF-8, or has a backslash or a control character.
    pub(super) fn is_plain(&mut self, record: &[u8]) -> bool {
        self.quotes.clear();
        let (mut odd, mut high) = (0, 0);
        let (blocks, rest) = record.as_chunks::<64>();
        let mut last = [b' '; 64];
        last[..rest.len()].copy_from_slice(rest);
        for block in blocks.iter().chain([&last]) {
            let marks = marks(block);
            self.quotes.push(marks.quotes);
            odd |= marks.odd;
            high |= marks.high;
        }
        odd == 0 && (high == 0 || std::str::from_utf8(record).is_ok())
    }

    /// The next quote from `at` on.
    #[inline]
    pub(super) fn quote(&self, at: usize) -> Option<usize> {
        let mut word = at / 64;
        let mut bits = self.quotes.get(word)? & (u64::MAX << (at % 64));
        while bits == 0 {
            word += 1;
            bits = *self.quotes.get(word)?;
        }
        Some(word * 64 + bits.trailing_zeros() as usize)
    }
}

#[inline]
fn marks(block: &[u8; 64]) -> Marks {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // The high bits of the bytes that are zero; exact, no carry leaves a byte.
    let zeros = |word: u64| !(((word & !HIGH) + !HIGH) | word | !HIGH);
    // Gathers the high bits into one byte.
    let bits = |word: u64| ((word >> 7) & ONES).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    let mut marks = Marks::default();
    for (place, chunk) in block.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let odd = zeros(word ^ (ONES * u64::from(b'\\'))) | zeros(word & (ONES * 0xe0));
        marks.quotes |= bits(zeros(word ^ (ONES * u64::from(b'"')))) << (place * 8);
        marks.odd |= bits(odd) << (place * 8);
        marks.high |= bits(word & HIGH) << (place * 8);
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_in_every_place() {
        for byte in 0..=255_u8 {
            for place in 0..64 {
                let mut block = [b'x'; 64];
                block[place] = byte;
                block[63 - place] = byte;
                let at = |marked: bool| if marked { 1_u64 << place | 1 << (63 - place) } else { 0 };
                let expected = Marks {
                    quotes: at(byte == b'"'),
                    odd: at(byte < 0x20 || byte == b'\\'),
                    high: at(byte >= 0x80),
                };
                assert_eq!(marks(&block), expected, "{byte} at {place}");
            }
        }
    }

    #[test]
    fn mixed_blocks() {
        let mut word = 1_u64;
        for _ in 0..10_000 {
            let block = std::array::from_fn(|_| {
                word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                b"\"\\\x1f\x20!#[]\x7f\x80\xff\x00a"[(word >> 33) as usize % 13]
            });
            assert_eq!(marks(&block), portable(&block));
        }
    }

    #[test]
    fn quotes_are_found_across_blocks() {
        let mut survey = Survey::default();
        for len in [0, 1, 63, 64, 65, 127, 128, 200] {
            for place in 0..len {
                let mut record = vec![b'x'; len];
                record[place] = b'"';
                assert!(survey.is_plain(&record));
                for at in 0..len + 130 {
                    assert_eq!(survey.quote(at), (at <= place).then_some(place));
                }
            }
        }
        assert!(survey.is_plain("é".as_bytes()));
        assert!(!survey.is_plain(b"\xc3"));
        assert!(!survey.is_plain(&[b"x".repeat(70), b"\n".to_vec()].concat()));
    }
}
