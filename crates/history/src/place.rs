//! How far a partition was taken, in the words of its upstream.

use cartguard_engine::record::PlaceRef;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt::{self, Display, Write};
use std::str::FromStr;

/// The place of a record in its partition. One partition has one kind of place.
///
/// As text: `line:offset` of a file, `digits/sub` of a shard.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Place {
    /// In a file: line or row from 1, byte offset.
    Row { line: u64, offset: u64 },
    /// In a shard: the sequence number, and which of the records that were put as one, from 0.
    Sequence { number: SequenceNumber, sub: u64 },
}

/// A Kinesis sequence number: up to 56 decimal digits (more than 128 bits), without leading zeros. Ordered by number of
/// digits, then as text; never through an integer or a float.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SequenceNumber(Box<str>);

/// Not a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no place: line:offset of a file, or digits/sub of a shard")]
pub struct NoPlace(String);

/// Digits of a sequence number at most; the service documents `0|([1-9]\d{0,128})`.
const DIGITS_MAX: usize = 129;

impl SequenceNumber {
    /// None where the text is no number, has leading zeros or more than 129 digits.
    pub fn new(digits: &str) -> Option<Self> {
        let is_number = !digits.is_empty()
            && digits.len() <= DIGITS_MAX
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'));
        is_number.then(|| Self(digits.into()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Place {
    /// Whether this is behind `other`; nothing where they are of different kinds.
    pub fn is_after(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Row { line, .. }, Self::Row { line: other, .. }) => Some(line > other),
            (Self::Sequence { number, sub }, Self::Sequence { number: other, sub: other_sub }) => {
                Some((number, sub) > (other, other_sub))
            }
            _ => None,
        }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row { line, offset } => write!(f, "{line}:{offset}"),
            Self::Sequence { number, sub } => {
                f.write_str(number.as_str())?;
                f.write_char('/')?;
                write!(f, "{sub}")
            }
        }
    }
}

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let parse = || {
            if let Some((line, offset)) = text.split_once(':') {
                return Some(Self::Row { line: line.parse().ok()?, offset: offset.parse().ok()? });
            }
            let (number, sub) = text.split_once('/')?;
            Some(Self::Sequence { number: SequenceNumber::new(number)?, sub: sub.parse().ok()? })
        };
        parse().ok_or_else(|| NoPlace(text.to_owned()))
    }
}

impl From<PlaceRef<'_>> for Place {
    fn from(place: PlaceRef<'_>) -> Self {
        match place {
            PlaceRef::Row { line, offset } => Self::Row { line, offset },
            PlaceRef::Sequence { number, sub } => {
                let digits = std::str::from_utf8(number).ok().and_then(SequenceNumber::new);
                // A source gives digits; one that does not is found out when its place does not move on.
                Self::Sequence { number: digits.unwrap_or_else(|| SequenceNumber("0".into())), sub }
            }
        }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

impl TryFrom<String> for Place {
    type Error = NoPlace;

    fn try_from(text: String) -> Result<Self, NoPlace> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers of any length as a big integer would order them: by their digits, padded to one length.
    fn padded(digits: &str) -> String {
        format!("{digits:0>140}")
    }

    proptest! {
        #[test]
        fn sequence_numbers_are_ordered_as_numbers(one in "[1-9][0-9]{0,60}", other in "[1-9][0-9]{0,60}") {
            let number = |digits: &str| SequenceNumber::new(digits).expect("a number");
            prop_assert_eq!(number(&one).cmp(&number(&other)), padded(&one).cmp(&padded(&other)));
        }

        #[test]
        fn a_place_reads_back_from_its_text(line: u64, offset: u64, digits in "[1-9][0-9]{0,55}", sub: u64) {
            for place in [
                Place::Row { line, offset },
                Place::Sequence { number: SequenceNumber::new(&digits).expect("a number"), sub },
            ] {
                prop_assert_eq!(place.to_string().parse::<Place>(), Ok(place));
            }
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in ["", "7", "7:", ":7", "7/", "a/0", "007/0", "-1/0", "7:-1"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
