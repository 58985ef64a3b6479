//! The sentences of an alert's reason, one for each state of the value, and what may stand in braces in them.
//!
//! features file, wording -> **sentence** -> encode (`reason`)
//!
//! Not here: how a value is told (`encode::reason`).

/// What an alert says of a feature, by the state of its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentences {
    /// Of a value.
    pub value: String,
    /// Of 0, where that reads differently.
    pub zero: Option<String>,
    /// Below 0, where that reads differently; `{value}` is told without its sign.
    pub negative: Option<String>,
    /// Without a value.
    pub missing: String,
    /// Without a value because the event has no key of the feature's entity.
    pub keyless: Option<String>,
}

/// A piece of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    Text(&'a str),
    /// `{value}`: in its unit; seconds as a duration, a share as a percentage, money with its currency.
    Value,
    /// `{percent}`: the value as a percentage.
    Percent,
    /// `{amount}`: the order's own amount with its currency.
    Amount,
    /// `{one|many}`: by the value.
    Choice(&'a str, &'a str),
    /// Braces that mean nothing.
    Unknown(&'a str),
}

/// What may stand in braces, for faults.
pub(super) const BRACES: &str = "{value}, {percent}, {amount}, {one|many}";

/// A sentence cut at its braces.
pub fn pieces(sentence: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = sentence;
    while let Some(open) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(open);
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        let len = from.find('}').map_or(from.len(), |close| close + 1);
        let (braces, after) = from.split_at(len);
        pieces.push(match braces {
            "{value}" => Piece::Value,
            "{percent}" => Piece::Percent,
            "{amount}" => Piece::Amount,
            _ => choice(braces).unwrap_or(Piece::Unknown(braces)),
        });
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

fn choice(braces: &str) -> Option<Piece<'_>> {
    let (one, many) = braces.strip_prefix('{')?.strip_suffix('}')?.split_once('|')?;
    (!one.contains('{') && !many.contains(['{', '|'])).then_some(Piece::Choice(one, many))
}

/// The sentence with each choice made: for `one`, or for many.
pub(super) fn chosen(sentence: &str, is_one: bool) -> String {
    let mut text = String::new();
    for piece in pieces(sentence) {
        text.push_str(match piece {
            Piece::Choice(one, many) => [many, one][usize::from(is_one)],
            Piece::Text(same) | Piece::Unknown(same) => same,
            Piece::Value => "{value}",
            Piece::Percent => "{percent}",
            Piece::Amount => "{amount}",
        });
    }
    text
}

impl Sentences {
    /// Of a feature that is calculated, called `noun`: what the file says, and what follows from that.
    pub(super) fn of_expression(noun: &str, told: Told, is_truth: bool) -> Self {
        let tells_value =
            |text: &str| pieces(text).iter().any(|piece| matches!(piece, Piece::Value | Piece::Percent));
        let missing = told.missing.unwrap_or_else(|| match &told.value {
            Some(text) if !tells_value(text) => format!("it is not known whether {text}"),
            _ => format!("{noun} is not known"),
        });
        let (value, zero) = match (told.value, is_truth) {
            (Some(text), true) if !tells_value(&text) => {
                let not = format!("it is not so that {text}");
                (text, Some(not))
            }
            (Some(text), _) => (text, None),
            (None, true) => (format!("{noun} is true"), Some(format!("{noun} is false"))),
            (None, false) => (format!("{noun} is {{value}}"), None),
        };
        Self { value, zero: told.zero.or(zero), negative: None, missing, keyless: None }
    }

    /// With what the file says in the place of what was made.
    pub(super) fn with(mut self, told: Told) -> Self {
        if let Some(value) = told.value {
            // Made sentences would say the same in other words.
            (self.value, self.zero, self.negative) = (value, None, None);
        }
        self.zero = told.zero.or(self.zero);
        if let Some(missing) = told.missing {
            (self.missing, self.keyless) = (missing, None);
        }
        self
    }
}

/// What the features file says itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// `reason`
    pub value: Option<String>,
    /// `reason_zero`
    pub zero: Option<String>,
    /// `reason_missing`
    pub missing: Option<String>,
}

impl Told {
    /// With `{window}` replaced.
    pub(super) fn over(&self, window: &str) -> Self {
        let replaced = |text: &Option<String>| text.as_ref().map(|text| text.replace("{window}", window));
        Self { value: replaced(&self.value), zero: replaced(&self.zero), missing: replaced(&self.missing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_cut_at_its_braces() {
        assert_eq!(
            pieces("{value} {order|orders}, {percent} of {amount} {wert}"),
            [
                Piece::Value,
                Piece::Text(" "),
                Piece::Choice("order", "orders"),
                Piece::Text(", "),
                Piece::Percent,
                Piece::Text(" of "),
                Piece::Amount,
                Piece::Text(" "),
                Piece::Unknown("{wert}"),
            ]
        );
        for unknown in ["{", "}", "{}", "{value", "{a|b|c}", "{a{|b}"] {
            assert_eq!(pieces(unknown), [Piece::Unknown(unknown)], "{unknown}");
        }
        assert_eq!(pieces(""), []);
    }

    #[test]
    fn a_choice_can_be_made_at_once() {
        let text = "{value} that {was|were} {amount}";
        assert_eq!(chosen(text, true), "{value} that was {amount}");
        assert_eq!(chosen(text, false), "{value} that were {amount}");
    }

    #[test]
    fn what_is_not_so_is_not_told_as_so() {
        let told = |value: &str| Told { value: Some(value.to_owned()), ..Told::default() };
        let flag = Sentences::of_expression("pickup", told("the order is picked up"), true);
        assert_eq!(flag.zero.as_deref(), Some("it is not so that the order is picked up"));
        assert_eq!(flag.missing, "it is not known whether the order is picked up");
        let number = Sentences::of_expression("pages", told("{value} pages"), false);
        assert_eq!((number.zero, number.missing.as_str()), (None, "pages is not known"));
        let plain = Sentences::of_expression("guest", Told::default(), true);
        assert_eq!((plain.value.as_str(), plain.zero.as_deref()), ("guest is true", Some("guest is false")));
    }
}
