//! The texts of window features, one case an aggregate.

use super::*;

fn words() -> Words {
    let words = [("ip", "IP address"), ("pair", "customer and card")];
    Words { words: words.iter().map(|(name, word)| ((*name).to_owned(), (*word).to_owned())).collect() }
}

const CARD: Parts<'_> = Parts {
    label: "",
    entity: "card",
    aggregate: "count",
    field: "",
    condition: "",
    window: "10m",
    over: "",
    delay: "",
};

fn subject<'a>(parts: Parts<'a>, condition: &'a str) -> Subject<'a> {
    let key_parts = if parts.entity == "pair" { 2 } else { 1 };
    Subject { parts, key_parts, inclusive: false, condition, unit: "EUR", is_nested: true }
}

const DECLINED: &str = "that {was|were} declined";

#[test]
fn meanings_read_well() {
    for (subject, meaning) in [
        (subject(CARD, ""), "Number of orders with this card in the last 10 minutes"),
        (
            subject(Parts { window: "1h", ..CARD }, DECLINED),
            "Number of orders with this card that were declined in the last hour",
        ),
        (
            subject(Parts { aggregate: "sum", field: "amount", window: "30d", delay: "7d", ..CARD }, ""),
            "Sum of the amount of orders with this card in the 30 days that ended 7 days ago",
        ),
        (
            subject(Parts { entity: "ip", aggregate: "distinct", field: "card", window: "24h", ..CARD }, ""),
            "Number of different cards among orders with this IP address in the last 24 hours",
        ),
        (
            subject(Parts { aggregate: "ratio_count", window: "1h", over: "7d", ..CARD }, ""),
            "Number of orders with this card in the last hour, divided by the same over 7 days",
        ),
        (
            subject(Parts { aggregate: "share", window: "1d", ..CARD }, DECLINED),
            "Share of orders with this card in the last day that were declined",
        ),
        (
            subject(Parts { aggregate: "seconds_since_last", window: "1d", ..CARD }, DECLINED),
            "Seconds since the previous order with this card that was declined in the last day",
        ),
    ] {
        assert_eq!(words().texts(&subject).meaning, meaning);
    }
    let inclusive = Subject { inclusive: true, ..subject(CARD, "") };
    assert!(words().texts(&inclusive).meaning.ends_with("10 minutes, this one included"));
}

/// Value, zero, missing.
#[test]
fn reasons_read_well() {
    let amount = Parts { field: "amount", window: "30d", ..CARD };
    let of = |aggregate, parts| Parts { aggregate, ..parts };
    let zero = Some;
    let none = "no earlier orders with this card in the last 30 days";
    for (subject, value, of_zero, missing) in [
        (
            subject(CARD, DECLINED),
            "{value} earlier {order|orders} with this card that {was|were} declined in the last 10 minutes",
            zero("no earlier orders with this card that were declined in the last 10 minutes"),
            "no earlier orders with this card that were declined in the last 10 minutes",
        ),
        (
            Subject { inclusive: true, ..subject(CARD, "") },
            "{value} {order|orders} with this card in the last 10 minutes (counting this one)",
            zero("no orders with this card in the last 10 minutes"),
            "no orders with this card in the last 10 minutes",
        ),
        (
            subject(Parts { delay: "7d", ..of("sum", amount) }, ""),
            "orders with this card in the 30 days that ended 7 days ago add up to {value}",
            zero("no amount in orders with this card in the 30 days that ended 7 days ago"),
            "no orders with this card in the 30 days that ended 7 days ago",
        ),
        (
            subject(Parts { field: "pages", ..of("sum", amount) }, ""),
            "the total pages of earlier orders with this card in the last 30 days is {value}",
            None,
            "no pages in earlier orders with this card in the last 30 days",
        ),
        (
            subject(of("mean", amount), ""),
            "the average amount of earlier orders with this card in the last 30 days was {value}",
            None,
            none,
        ),
        (
            subject(of("max", amount), ""),
            "the largest amount among earlier orders with this card in the last 30 days was {value}",
            None,
            none,
        ),
        (
            subject(of("std", amount), ""),
            "the amount of earlier orders with this card in the last 30 days varies by {value} around the average",
            zero("the amount of earlier orders with this card in the last 30 days does not vary"),
            none,
        ),
        (
            subject(of("zscore", amount), ""),
            "the amount is {value} {standard deviation|standard deviations} above the average of earlier orders with this card in the last 30 days",
            None,
            none,
        ),
        (
            subject(Parts { field: "ip", ..of("distinct", amount) }, ""),
            "{value} {IP address|different IP addresses} among earlier orders with this card in the last 30 days",
            zero("no IP addresses among earlier orders with this card in the last 30 days"),
            none,
        ),
        (
            subject(of("share", amount), DECLINED),
            "{value} of the earlier orders with this card in the last 30 days were declined",
            zero("none of the earlier orders with this card in the last 30 days were declined"),
            none,
        ),
        (
            subject(Parts { window: "", ..of("run", CARD) }, DECLINED),
            "{value} {order|orders in a row} with this card {was|were} declined just before this one",
            zero("no orders with this card were declined just before this one"),
            "no earlier orders with this card that were declined",
        ),
        (
            subject(of("seconds_since_last", amount), DECLINED),
            "the previous order with this card that was declined was {value} earlier",
            None,
            "no earlier orders with this card that were declined in the last 30 days",
        ),
        (
            subject(Parts { window: "", ..of("seconds_since_first", CARD) }, ""),
            "this card was first seen {value} before this order",
            None,
            "this card was not seen before",
        ),
        (
            subject(Parts { entity: "pair", window: "", ..of("seconds_since_first", CARD) }, ""),
            "this customer and card were first seen together {value} before this order",
            None,
            "this customer and card were not seen together before",
        ),
        (
            subject(Parts { window: "1h", over: "30d", ..of("ratio_count", CARD) }, ""),
            "{percent} of the earlier orders with this card in the last 30 days came in the last hour",
            zero("none of the earlier orders with this card in the last 30 days came in the last hour"),
            none,
        ),
        (
            subject(Parts { window: "1h", over: "30d", ..of("ratio_mean", amount) }, ""),
            "the average amount of earlier orders with this card in the last hour is {value} times that of the last 30 days",
            None,
            "no amount in earlier orders with this card in the last hour",
        ),
    ] {
        let reason = words().texts(&subject).reason;
        let made = (reason.value.as_str(), reason.zero.as_deref(), reason.missing.as_str());
        assert_eq!(made, (value, of_zero, missing));
    }
}

#[test]
fn a_key_that_is_absent_is_told() {
    let keyless = |entity| words().texts(&subject(Parts { entity, ..CARD }, "")).reason.keyless;
    assert_eq!(keyless("ip").as_deref(), Some("no IP address was given"));
    assert_eq!(keyless("pair").as_deref(), Some("customer and card were not both given"));
}

#[test]
fn plurals() {
    for (one, many) in
        [("card", "cards"), ("country", "countries"), ("key", "keys"), ("address", "addresses")]
    {
        assert_eq!(plural(one), many);
    }
}
