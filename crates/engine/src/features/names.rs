//! The names of features, and the codes of the reasons that they give.
//!
//! `<entity>.<aggregate>[_<label>][_<field>][_<condition>][_<window>][_<over>][_delay_<delay>]`, windows as the file writes them.

use super::spec::{Aggregate, RatioOf};

/// The words of the aggregates, in the order of the documentation.
pub(super) const AGGREGATES: [&str; 14] = [
    "count",
    "sum",
    "mean",
    "min",
    "max",
    "std",
    "zscore",
    "distinct",
    "share",
    "last",
    "run",
    "seconds_since_last",
    "seconds_since_first",
    "ratio",
];

/// What a name is made of; absent parts are empty.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts<'a> {
    pub entity: &'a str,
    /// As [`aggregate_word`] gives it.
    pub aggregate: &'a str,
    /// What is wanted of the label.
    pub label: &'a str,
    /// The field or what a distinct count tells apart.
    pub field: &'a str,
    pub condition: &'a str,
    pub window: &'a str,
    pub over: &'a str,
    pub delay: &'a str,
}

/// The name of a window feature.
pub(super) fn name(parts: &Parts<'_>) -> String {
    let mut name = format!("{}.{}", parts.entity, parts.aggregate);
    for part in [parts.label, parts.field, parts.condition, parts.window, parts.over] {
        if !part.is_empty() {
            name.push('_');
            name.push_str(&part.replace('.', "_"));
        }
    }
    // A window of labels looks back behind its delay as a rule.
    if !parts.delay.is_empty() && parts.label.is_empty() {
        name.push_str("_delay_");
        name.push_str(parts.delay);
    }
    name
}

/// The code of the reason of a window feature: its name without the windows, in capitals.
pub(super) fn code(parts: &Parts<'_>) -> String {
    code_of(&name(&Parts { window: "", over: "", delay: "", ..*parts }))
}

/// A code made of a name.
pub(super) fn code_of(name: &str) -> String {
    name.chars().map(|letter| if letter == '.' { '_' } else { letter.to_ascii_uppercase() }).collect()
}

/// How an aggregate stands in a name.
pub fn aggregate_word(aggregate: Aggregate) -> &'static str {
    match aggregate {
        Aggregate::Count => "count",
        Aggregate::Sum(_) => "sum",
        Aggregate::Mean(_) => "mean",
        Aggregate::Min(_) => "min",
        Aggregate::Max(_) => "max",
        Aggregate::Std(_) => "std",
        Aggregate::ZScore(_) => "zscore",
        Aggregate::Distinct(_) => "distinct",
        Aggregate::Share => "share",
        Aggregate::Last => "last",
        Aggregate::Run => "run",
        Aggregate::SecondsSinceLast => "seconds_since_last",
        Aggregate::SecondsSinceFirst => "seconds_since_first",
        Aggregate::Ratio { of: RatioOf::Count, .. } => "ratio_count",
        Aggregate::Ratio { of: RatioOf::Sum(_), .. } => "ratio_sum",
        Aggregate::Ratio { of: RatioOf::Mean(_), .. } => "ratio_mean",
    }
}

/// Whether a text can be the name of a feature: a word of expressions.
pub(super) fn is_name(text: &str) -> bool {
    let mut parts = text.split('.');
    parts.all(is_word) && text != "in" && text != "true" && text != "false"
}

/// Whether a text can name a condition, a field or an entity: letters, digits and `_`, not a digit first.
pub fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !matches!(text, "in" | "true" | "false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_pattern() {
        let card = Parts { entity: "card", aggregate: "count", window: "10m", ..Parts::default() };
        for (parts, expected, code) in [
            (card, "card.count_10m", "CARD_COUNT"),
            (Parts { condition: "declined", ..card }, "card.count_declined_10m", "CARD_COUNT_DECLINED"),
            (
                Parts { aggregate: "sum", field: "amount", condition: "declined", delay: "7d", ..card },
                "card.sum_amount_declined_10m_delay_7d",
                "CARD_SUM_AMOUNT_DECLINED",
            ),
            (
                Parts { aggregate: "ratio_count", over: "7d", ..card },
                "card.ratio_count_10m_7d",
                "CARD_RATIO_COUNT",
            ),
            (
                Parts { aggregate: "seconds_since_last", window: "", ..card },
                "card.seconds_since_last",
                "CARD_SECONDS_SINCE_LAST",
            ),
            (
                Parts { aggregate: "run", condition: "declined", window: "", ..card },
                "card.run_declined",
                "CARD_RUN_DECLINED",
            ),
            (
                Parts { aggregate: "mean", field: "items.quantity", ..card },
                "card.mean_items_quantity_10m",
                "CARD_MEAN_ITEMS_QUANTITY",
            ),
        ] {
            assert_eq!(name(&parts), expected);
            assert_eq!(super::code(&parts), code);
        }
    }

    #[test]
    fn words() {
        for text in ["a", "_a", "count_1h", "A9"] {
            assert!(is_word(text), "{text}");
        }
        for text in ["", "9a", "a.b", "a-b", "in", "true", "ä"] {
            assert!(!is_word(text), "{text}");
        }
        assert!(is_name("customer.mean_1d"));
        assert!(!is_name("customer.1d") && !is_name(".a") && !is_name("a."));
    }
}
