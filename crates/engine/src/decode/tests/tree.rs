//! JSON as the twin reads it: a tree in which nothing is lost, and decimals as strings of digits.
//!
//! Not here: what the twin makes of them (`twin`).

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON value with everything kept: order, repeated members, numbers as text, where it stands.
#[derive(Debug)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Number(String),
    /// The decoded text and the text between the quotes.
    String(String, String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut list = Vec::new();
                while let Some(member) = map.next_entry()? {
                    list.push(member);
                }
                Ok(Members(list))
            }
        }
        deserializer.deserialize_map(All)
    }
}

pub(super) fn tree(text: &str) -> Option<Tree> {
    Some(match text.as_bytes().first()? {
        b'{' => {
            let members: Members = serde_json::from_str(text).ok()?;
            let member = |(name, value): (String, Box<RawValue>)| Some((name, tree(value.get())?));
            Tree::Object(members.0.into_iter().map(member).collect::<Option<_>>()?)
        }
        b'[' => {
            let elements: Vec<Box<RawValue>> = serde_json::from_str(text).ok()?;
            Tree::Array(elements.iter().map(|value| tree(value.get())).collect::<Option<_>>()?)
        }
        b'"' => Tree::String(serde_json::from_str(text).ok()?, text[1..text.len() - 1].to_owned()),
        b't' => Tree::Bool(true),
        b'f' => Tree::Bool(false),
        b'n' => Tree::Null,
        _ => Tree::Number(text.to_owned()),
    })
}

impl Tree {
    pub(super) fn at(&self, path: &[String]) -> Option<&Tree> {
        let Some((name, rest)) = path.split_first() else { return Some(self) };
        let Tree::Object(members) = self else { return None };
        members.iter().find(|member| member.0 == *name)?.1.at(rest)
    }

    /// Whether the last member of the path, or one before it, occurs twice.
    pub(super) fn repeats(&self, path: &[String]) -> bool {
        let (Some((name, rest)), Tree::Object(members)) = (path.split_first(), self) else { return false };
        let mut same = members.iter().filter(|member| member.0 == *name);
        let Some(first) = same.next() else { return false };
        same.next().is_some() || first.1.repeats(rest)
    }

    /// A key's or category's text.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Tree::String(text, _) | Tree::Number(text) => Some(text.as_str()).filter(|text| !text.is_empty()),
            Tree::Bool(truth) => Some(if *truth { "true" } else { "false" }),
            Tree::Null | Tree::Array(_) | Tree::Object(_) => None,
        }
    }

    pub(super) fn decimal(&self) -> Option<Decimal> {
        match self {
            Tree::String(text, _) | Tree::Number(text) => Decimal::of(text),
            _ => None,
        }
    }
}

/// Digits before the point and digits behind it, written out.
#[derive(Debug)]
pub(super) struct Decimal {
    pub(super) negative: bool,
    pub(super) before: String,
    pub(super) behind: String,
}

impl Decimal {
    pub(super) fn of(text: &str) -> Option<Self> {
        // serde_json's grammar is the judge.
        let number: &RawValue = serde_json::from_str(text).ok()?;
        if number.get() != text || !text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            return None;
        }
        let lower = text.to_lowercase();
        let (significand, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
        let (before, behind) = significand.split_once('.').unwrap_or((significand, ""));
        let negative = before.starts_with('-');
        let decimal = Self { negative, before: before.replace('-', ""), behind: behind.to_owned() };
        let exponent: i64 =
            exponent.parse::<i64>().unwrap_or(if exponent.starts_with('-') { -3000 } else { 3000 });
        Some(decimal.shifted(exponent.clamp(-3000, 3000)))
    }

    pub(super) fn shifted(mut self, places: i64) -> Self {
        for _ in 0..places {
            if self.behind.is_empty() {
                self.behind.push('0');
            }
            self.before.push(self.behind.remove(0));
        }
        for _ in places..0 {
            self.behind.insert(0, self.before.pop().unwrap_or('0'));
        }
        self
    }

    pub(super) fn whole(&self) -> i128 {
        let digits = self.before.trim_start_matches('0');
        if digits.len() > 36 { 10_i128.pow(36) } else { format!("0{digits}").parse().expect("digits") }
    }

    pub(super) fn rest_is_zero(&self) -> bool {
        self.behind.chars().all(|digit| digit == '0')
    }

    pub(super) fn half_even(&self) -> i128 {
        let whole = self.whole();
        let rest = self.behind.trim_end_matches('0');
        let up = match rest.cmp("5") {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => whole % 2 == 1,
            std::cmp::Ordering::Greater => true,
        };
        whole + i128::from(up)
    }
}
