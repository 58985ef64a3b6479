//! Unit, meaning and reason of a feature whose file gives none, in plain English.
//!
//! Kinds, fields and the events themselves are called by their names, `_` as a space, or as the file's `[words]` says.

use super::names::Parts;
use crate::schema::{CurrencySource, Schema, WindowScale};
use std::collections::BTreeMap;

/// What the file says things are called.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub words: BTreeMap<String, String>,
}

/// Unit, meaning and reason.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Texts {
    pub unit: String,
    pub meaning: String,
    pub reason: String,
}

/// What a text is about.
pub(super) struct Subject<'a> {
    pub parts: Parts<'a>,
    pub inclusive: bool,
    /// What is told of events that meet the condition: `that were declined`.
    pub condition: &'a str,
    /// Unit of the field.
    pub unit: &'a str,
}

impl Words {
    /// What a kind, a field or `orders` is called.
    pub(super) fn noun(&self, name: &str) -> String {
        self.words.get(name).cloned().unwrap_or_else(|| name.replace(['_', '.'], " "))
    }

    /// Texts of a window feature.
    pub(super) fn texts(&self, subject: &Subject<'_>) -> Texts {
        let parts = &subject.parts;
        let (period, within) = (period(parts), within(parts));
        let condition =
            if subject.condition.is_empty() { String::new() } else { format!(" {}", subject.condition) };
        let orders = self.noun("orders");
        let order = self.noun("order");
        let kind = self.noun(parts.entity);
        let those = format!("{orders} with this {kind}{condition}");
        let field = self.noun(parts.field);
        let fields = plural(&field);
        let unit = subject.unit;
        let value = if unit.is_empty() { "{value}".to_owned() } else { format!("{{value}} {unit}") };
        let (unit, mut meaning, reason) = match parts.aggregate {
            "count" => {
                (orders.as_str(), format!("Number of {those}{period}"), format!("{{value}} {those}{within}"))
            }
            "sum" => (
                unit,
                format!("Sum of the {field} of {those}{period}"),
                format!("{value} in {those}{within}"),
            ),
            "mean" => (
                unit,
                format!("Mean {field} of {those}{period}"),
                format!("mean {field} of {those}{within} is {value}"),
            ),
            "min" => (
                unit,
                format!("Smallest {field} of {those}{period}"),
                format!("smallest {field} of {those}{within} is {value}"),
            ),
            "max" => (
                unit,
                format!("Largest {field} of {those}{period}"),
                format!("largest {field} of {those}{within} is {value}"),
            ),
            "std" => (
                unit,
                format!("Standard deviation of the {field} of {those}{period}"),
                format!("{field} of {those}{within} varies by {value}"),
            ),
            "zscore" => (
                "standard deviations",
                format!("How far the {field} lies above the mean of {those}{period}"),
                format!("{field} is {{value}} standard deviations above the mean of {those}{within}"),
            ),
            "distinct" => (
                fields.as_str(),
                format!("Number of different {fields} among {those}{period}"),
                format!("{{value}} different {fields} among {those}{within}"),
            ),
            "share" => (
                "share",
                format!("Share of {orders} with this {kind}{period}{condition}"),
                format!("a share of {{value}} of {orders} with this {kind}{within}{condition}"),
            ),
            "run" => (
                orders.as_str(),
                format!("Number of latest {orders} in a row with this {kind}{condition}"),
                format!("{{value}} {orders} in a row with this {kind}{condition}"),
            ),
            "seconds_since_last" => (
                "seconds",
                format!("Seconds since the previous {order} with this {kind}{condition}{period}"),
                format!("{{value}} seconds after the previous {order} with this {kind}{condition}"),
            ),
            "seconds_since_first" => (
                "seconds",
                format!("Seconds since the first {order} with this {kind}"),
                format!("this {kind} was first seen {{value}} seconds ago"),
            ),
            ratio => {
                let what = match ratio {
                    "ratio_count" => "Number".to_owned(),
                    "ratio_sum" => format!("Sum of the {field}"),
                    _ => format!("Mean {field}"),
                };
                let over = span(parts.over);
                (
                    "",
                    format!("{what} of {those}{period}, divided by the same over {over}"),
                    format!("{} of {those}{within} is {{value}} times that over {over}", lower(&what)),
                )
            }
        };
        if subject.inclusive {
            meaning.push_str(", this one included");
        }
        Texts { unit: unit.to_owned(), meaning, reason }
    }
}

/// The unit of amounts in windows.
pub(super) fn amount_unit(schema: &Schema) -> &'static str {
    match (&schema.scale, &schema.currency) {
        (WindowScale::Rates { base, .. }, _) => base.code(),
        (WindowScale::Constant, CurrencySource::Constant(currency)) => currency.code(),
        (WindowScale::Constant | WindowScale::Common, _) => "currency units",
    }
}

/// More than one of it.
pub(super) fn plural(noun: &str) -> String {
    let vowel_y = ["ay", "ey", "oy", "uy"].iter().any(|end| noun.ends_with(end));
    if noun.ends_with('y') && !vowel_y {
        format!("{}ies", &noun[..noun.len() - 1])
    } else if ["s", "x", "ch", "sh"].iter().any(|end| noun.ends_with(end)) {
        format!("{noun}es")
    } else {
        format!("{noun}s")
    }
}

/// `10 minutes`; 24h stays 24 hours.
pub(super) fn span(window: &str) -> String {
    let end = window.find(|character: char| !character.is_ascii_digit()).unwrap_or(window.len());
    let (digits, unit) = window.split_at(end);
    let unit = match unit {
        "ms" => "millisecond",
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        other => other,
    };
    if digits == "1" { format!("1 {unit}") } else { format!("{digits} {unit}s") }
}

fn period(parts: &Parts<'_>) -> String {
    if parts.window.is_empty() {
        return String::new();
    }
    let window = span(parts.window);
    if parts.delay.is_empty() {
        let bare = window.strip_prefix("1 ").unwrap_or(&window);
        format!(" in the last {bare}")
    } else {
        format!(" in the {window} that ended {} ago", span(parts.delay))
    }
}

fn within(parts: &Parts<'_>) -> String {
    if parts.window.is_empty() {
        String::new()
    } else if parts.delay.is_empty() {
        format!(" within {}", span(parts.window))
    } else {
        period(parts)
    }
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_well() {
        let words = Words { words: BTreeMap::from([("ip".to_owned(), "IP address".to_owned())]) };
        let card = Parts { entity: "card", aggregate: "count", window: "10m", ..Parts::default() };
        let subject = |parts, condition| Subject { parts, inclusive: false, condition, unit: "EUR" };
        for (subject, meaning, reason) in [
            (
                subject(card, ""),
                "Number of orders with this card in the last 10 minutes",
                "{value} orders with this card within 10 minutes",
            ),
            (
                subject(Parts { window: "1h", ..card }, "that were declined"),
                "Number of orders with this card that were declined in the last hour",
                "{value} orders with this card that were declined within 1 hour",
            ),
            (
                subject(Parts { aggregate: "sum", field: "amount", window: "30d", delay: "7d", ..card }, ""),
                "Sum of the amount of orders with this card in the 30 days that ended 7 days ago",
                "{value} EUR in orders with this card in the 30 days that ended 7 days ago",
            ),
            (
                subject(
                    Parts { entity: "ip", aggregate: "distinct", field: "card", window: "24h", ..card },
                    "",
                ),
                "Number of different cards among orders with this IP address in the last 24 hours",
                "{value} different cards among orders with this IP address within 24 hours",
            ),
            (
                subject(Parts { aggregate: "ratio_count", window: "1h", over: "7d", ..card }, ""),
                "Number of orders with this card in the last hour, divided by the same over 7 days",
                "number of orders with this card within 1 hour is {value} times that over 7 days",
            ),
            (
                subject(Parts { aggregate: "share", window: "1d", ..card }, "that were declined"),
                "Share of orders with this card in the last day that were declined",
                "a share of {value} of orders with this card within 1 day that were declined",
            ),
        ] {
            let texts = words.texts(&subject);
            assert_eq!((texts.meaning.as_str(), texts.reason.as_str()), (meaning, reason));
        }
        let inclusive = Subject { inclusive: true, ..subject(card, "") };
        assert!(words.texts(&inclusive).meaning.ends_with("10 minutes, this one included"));
    }

    #[test]
    fn plurals() {
        for (one, many) in
            [("card", "cards"), ("country", "countries"), ("key", "keys"), ("address", "addresses")]
        {
            assert_eq!(plural(one), many);
        }
    }
}
