//! Unit, meaning and reason of a feature whose file gives none, in plain English.
//!
//! Kinds, fields and the events themselves are called by their names, `_` as a space, or as the file's `[words]` says.

#[cfg(test)]
mod tests;

use super::expression::builtin_names;
use super::names::Parts;
use super::sentence::{Sentences, chosen};
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
    pub reason: Sentences,
}

/// What a text is about.
pub(super) struct Subject<'a> {
    pub parts: Parts<'a>,
    /// Parts of the entity's key.
    pub key_parts: usize,
    pub inclusive: bool,
    /// What is told of events that meet the condition: `that {was|were} declined`.
    pub condition: &'a str,
    /// Unit of the field.
    pub unit: &'a str,
    /// Of a ratio: whether its window lies within the one that it divides by.
    pub is_nested: bool,
}

/// Phrases that several aggregates use; `{one|many}` is still in them where `_or_one` says so.
struct Phrases {
    order: String,
    orders: String,
    kind: String,
    field: String,
    fields: String,
    /// `that were declined`, with a space before it.
    condition: String,
    /// `were declined`
    predicate_or_one: String,
    /// ` in the last hour`
    period: String,
    /// `orders with this card that were declined`, for the meaning.
    those: String,
    /// `earlier orders with this card that were declined in the last hour`
    seen: String,
    seen_or_one: String,
    /// The same whether they met the condition or not.
    all: String,
    /// As `seen`, over the divisor's window.
    seen_over: String,
    missing: String,
}

impl Words {
    /// Everything that a text names.
    pub(super) fn known(schema: &Schema) -> impl Iterator<Item = &str> {
        let entities = schema.entities.iter().map(|entity| entity.name.as_str());
        let fields = schema.fields.iter().map(|field| field.name.as_str());
        let stats = builtin_names().map(|(name, _)| name).filter(|name| name.starts_with("items."));
        let stats = stats.filter(|_| schema.items.is_some());
        entities.chain(fields).chain(stats).chain(["amount", "order", "orders"])
    }

    /// What a kind, a field or `orders` is called.
    pub(super) fn noun(&self, name: &str) -> String {
        self.words.get(name).cloned().unwrap_or_else(|| name.replace(['_', '.'], " "))
    }

    /// Texts of a window feature.
    pub(super) fn texts(&self, subject: &Subject<'_>) -> Texts {
        let phrases = self.phrases(subject);
        let (unit, mut meaning) = unit_and_meaning(subject, &phrases);
        if subject.inclusive {
            meaning.push_str(", this one included");
        }
        let mut reason = sentences(subject, &phrases);
        let Phrases { kind, .. } = &phrases;
        reason.keyless = Some(match (is_joint(subject, kind), subject.key_parts) {
            (false, _) => format!("no {kind} was given"),
            (true, 2) => format!("{kind} were not both given"),
            (true, _) => format!("{kind} were not all given"),
        });
        Texts { unit, meaning, reason }
    }

    fn phrases(&self, subject: &Subject<'_>) -> Phrases {
        let parts = &subject.parts;
        let (order, orders) = (self.noun("order"), self.noun("orders"));
        let kind = self.noun(parts.entity);
        let field = self.noun(parts.field);
        let spaced = |text: &str| if text.is_empty() { String::new() } else { format!(" {text}") };
        let met = with_label(subject);
        let condition_or_one = spaced(&met);
        let condition = chosen(&condition_or_one, false);
        let predicate = met.strip_prefix("that ").map(str::to_owned);
        let earlier = if subject.inclusive || !parts.delay.is_empty() { "" } else { "earlier " };
        let counted = if subject.inclusive { " (counting this one)" } else { "" };
        let period = period(parts);
        let over = self::period(&Parts { window: parts.over, ..*parts });
        let those = format!("{orders} with this {kind}{condition}");
        let seen_or_one = format!("with this {kind}{condition_or_one}{period}{counted}");
        Phrases {
            predicate_or_one: predicate.unwrap_or_else(|| format!("{{was|were}}{condition_or_one}")),
            seen: format!("{earlier}{those}{period}{counted}"),
            all: format!("{earlier}{orders} with this {kind}{period}{counted}"),
            seen_or_one: format!("{earlier}{{{order}|{orders}}} {seen_or_one}"),
            seen_over: format!("{earlier}{those}{over}{counted}"),
            missing: format!("no {earlier}{those}{period}"),
            fields: plural(&field),
            order,
            orders,
            kind,
            field,
            condition,
            period,
            those,
        }
    }
}

/// The condition and what is wanted of the label, as one phrase.
fn with_label(subject: &Subject<'_>) -> String {
    match subject.parts.label {
        "" => subject.condition.to_owned(),
        label => label_phrase(label, subject.condition),
    }
}

fn label_phrase(label: &str, condition: &str) -> String {
    let known = match label {
        "known" => "labelled".to_owned(),
        label => format!("known as {label}"),
    };
    if condition.is_empty() { format!("that {{is|are}} {known}") } else { format!("{condition} and {known}") }
}

fn unit_and_meaning(subject: &Subject<'_>, phrases: &Phrases) -> (String, String) {
    let Phrases { order, orders, kind, field, fields, condition, period, those, .. } = phrases;
    let (unit, meaning) = match subject.parts.aggregate {
        "count" => (orders.as_str(), format!("Number of {those}{period}")),
        "sum" => (subject.unit, format!("Sum of the {field} of {those}{period}")),
        "mean" => (subject.unit, format!("Mean {field} of {those}{period}")),
        "min" => (subject.unit, format!("Smallest {field} of {those}{period}")),
        "max" => (subject.unit, format!("Largest {field} of {those}{period}")),
        "std" => (subject.unit, format!("Standard deviation of the {field} of {those}{period}")),
        "zscore" => {
            ("standard deviations", format!("How far the {field} lies above the mean of {those}{period}"))
        }
        "distinct" => (fields.as_str(), format!("Number of different {fields} among {those}{period}")),
        "share" if !subject.parts.label.is_empty() => {
            let among = chosen(&label_phrase("known", subject.condition), false);
            let label = subject.parts.label;
            ("share", format!("Share of {label} among {orders} with this {kind} {among}{period}"))
        }
        "last" => {
            let one = chosen(&with_label(subject), true);
            ("0 or 1", format!("Whether the latest {order} with this {kind}{period} is one {one}"))
        }
        "share" => ("share", format!("Share of {orders} with this {kind}{period}{condition}")),
        "run" => (orders.as_str(), format!("Number of latest {orders} in a row with this {kind}{condition}")),
        "seconds_since_last" => {
            let one = chosen(&with_label(subject), true);
            let one = if one.is_empty() { one } else { format!(" {one}") };
            ("seconds", format!("Seconds since the previous {order} with this {kind}{one}{period}"))
        }
        "seconds_since_first" => {
            let one = chosen(&with_label(subject), true);
            let one = if one.is_empty() { one } else { format!(" {one}") };
            ("seconds", format!("Seconds since the first {order} with this {kind}{one}{period}"))
        }
        ratio => {
            let what = match ratio {
                "ratio_count" => "Number".to_owned(),
                "ratio_sum" => format!("Sum of the {field}"),
                _ => format!("Mean {field}"),
            };
            let over = span(subject.parts.over);
            ("ratio", format!("{what} of {those}{period}, divided by the same over {over}"))
        }
    };
    (unit.to_owned(), meaning)
}

fn sentences(subject: &Subject<'_>, phrases: &Phrases) -> Sentences {
    let Phrases { order, orders, kind, field, fields, seen, seen_or_one, seen_over, .. } = phrases;
    let Phrases { all, period, predicate_or_one, missing, .. } = phrases;
    let parts = &subject.parts;
    let predicate = chosen(predicate_or_one, false);
    let made = |value: String, missing: String| Sentences { value, missing, ..Sentences::default() };
    let with_zero =
        |value: String, zero: String, missing: String| Sentences { zero: Some(zero), ..made(value, missing) };
    // Every order has an amount; of another field, the orders may be there and the field not.
    let none = if field == "amount" { missing.clone() } else { format!("no {field} in {seen}") };
    match parts.aggregate {
        "count" => with_zero(format!("{{value}} {seen_or_one}"), missing.clone(), missing.clone()),
        "sum" if parts.field == "amount" => {
            with_zero(format!("{seen} add up to {{value}}"), format!("no {field} in {seen}"), none)
        }
        "sum" => made(format!("the total {field} of {seen} is {{value}}"), none),
        "mean" => made(format!("the average {field} of {seen} was {{value}}"), none),
        "min" => made(format!("the smallest {field} among {seen} was {{value}}"), none),
        "max" => made(format!("the largest {field} among {seen} was {{value}}"), none),
        "std" => with_zero(
            format!("the {field} of {seen} varies by {{value}} around the average"),
            format!("the {field} of {seen} does not vary"),
            none,
        ),
        "zscore" => {
            let deviations = "{value} {standard deviation|standard deviations}";
            Sentences {
                negative: Some(format!("the {field} is {deviations} below the average of {seen}")),
                ..made(format!("the {field} is {deviations} above the average of {seen}"), none)
            }
        }
        "distinct" => with_zero(
            format!("{{value}} {{{field}|different {fields}}} among {seen}"),
            format!("no {fields} among {seen}"),
            missing.clone(),
        ),
        "share" if !parts.label.is_empty() => {
            let earlier = if parts.delay.is_empty() { "earlier " } else { "" };
            let among = chosen(&label_phrase("known", subject.condition), false);
            let all = format!("{earlier}{orders} with this {kind} {among}{period}");
            let label = parts.label;
            with_zero(
                format!("{{value}} of the {all} are {label}"),
                format!("none of the {all} is {label}"),
                format!("no {all}"),
            )
        }
        "share" => with_zero(
            format!("{{value}} of the {all} {predicate}"),
            format!("none of the {all} {predicate}"),
            format!("no {all}"),
        ),
        "run" => {
            let end = if subject.inclusive { "up to this one" } else { "just before this one" };
            with_zero(
                format!("{{value}} {{{order}|{orders} in a row}} with this {kind} {predicate_or_one} {end}"),
                format!("no {orders} with this {kind} {predicate} {end}"),
                missing.clone(),
            )
        }
        "seconds_since_last" => {
            let condition = chosen(&with_label(subject), true);
            let condition = if condition.is_empty() { condition } else { format!(" {condition}") };
            // A delayed window skips newer orders.
            let period = if parts.delay.is_empty() { "" } else { period };
            made(
                format!("the previous {order} with this {kind}{condition}{period} was {{value}} earlier"),
                missing.clone(),
            )
        }
        "last" => {
            let one = chosen(&with_label(subject), true);
            with_zero(
                format!("the latest {order} with this {kind}{period} is one {one}"),
                format!("the latest {order} with this {kind}{period} is not one {one}"),
                format!("no {all}"),
            )
        }
        "seconds_since_first" if !parts.window.is_empty() => {
            let condition = chosen(&with_label(subject), true);
            let condition = if condition.is_empty() { condition } else { format!(" {condition}") };
            made(
                format!("the first {order} with this {kind}{condition}{period} was {{value}} earlier"),
                missing.clone(),
            )
        }
        "seconds_since_first" => {
            let (seen, together) = if is_joint(subject, kind) { ("were", " together") } else { ("was", "") };
            made(
                format!("this {kind} {seen} first seen{together} {{value}} before this {order}"),
                format!("this {kind} {seen} not seen{together} before"),
            )
        }
        "ratio_count" if subject.is_nested => with_zero(
            format!("{{percent}} of the {seen_over} came{period}"),
            format!("none of the {seen_over} came{period}"),
            format!("no {seen_over}"),
        ),
        // No amount is below 0, so the parts are parts.
        "ratio_sum" if subject.is_nested && parts.field == "amount" => with_zero(
            format!("{{percent}} of the {field} of {seen_over} came{period}"),
            format!("nothing of the {field} of {seen_over} came{period}"),
            format!("no {field} in {seen_over}"),
        ),
        ratio => {
            let (what, none) = match ratio {
                "ratio_count" => (format!("the number of {seen}"), format!("no {seen_over}")),
                "ratio_sum" => (format!("the total {field} of {seen}"), format!("no {field} in {seen_over}")),
                _ if subject.is_nested => {
                    (format!("the average {field} of {seen}"), format!("no {field} in {seen}"))
                }
                _ => (format!("the average {field} of {seen}"), format!("no {field} in {seen_over}")),
            };
            made(format!("{what} is {{value}} times that{}", over_period(parts)), none)
        }
    }
}

/// ` of the last 7 days`
fn over_period(parts: &Parts<'_>) -> String {
    period(&Parts { window: parts.over, ..*parts }).replacen(" in ", " of ", 1)
}

/// Whether an entity reads as several things: `customer and card`.
fn is_joint(subject: &Subject<'_>, kind: &str) -> bool {
    subject.key_parts > 1 && kind.contains(" and ")
}

/// The unit of amounts that are added without rates.
pub(crate) const CURRENCY_UNITS: &str = "currency units";

/// The unit of amounts in windows.
pub(super) fn amount_unit(schema: &Schema) -> &'static str {
    match (&schema.scale, &schema.currency) {
        (WindowScale::Rates { base, .. }, _) => base.code(),
        (WindowScale::Constant, CurrencySource::Constant(currency)) => currency.code(),
        (WindowScale::Constant | WindowScale::Common, _) => CURRENCY_UNITS,
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
