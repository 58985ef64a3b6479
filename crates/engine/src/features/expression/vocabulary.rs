//! The names and functions that expressions have whatever the schema is; the documentation is made from them.

use super::op::Calendar;
use crate::schema::ItemStat;

/// The names that every schema has, with what they mean.
pub fn builtin_names() -> impl Iterator<Item = (&'static str, &'static str)> {
    BUILTINS.iter().map(|(name, meaning, _)| (*name, *meaning))
}

/// The functions, with what they do.
pub fn function_names() -> impl Iterator<Item = (&'static str, &'static str)> {
    FUNCTIONS.iter().copied()
}

/// A name that every schema has.
#[derive(Clone, Copy)]
pub(super) enum Builtin {
    Amount,
    BaseAmount,
    AmountCents,
    Calendar(Calendar),
    MissingFields,
    Item(ItemStat),
}

pub(super) static BUILTINS: [(&str, &str, Builtin); 17] = [
    ("amount", "the amount in units of its currency", Builtin::Amount),
    (
        "base_amount",
        "the amount as windows add it: converted to the base currency where there are rates",
        Builtin::BaseAmount,
    ),
    ("amount_cents", "the part of the amount below one unit, in hundredths", Builtin::AmountCents),
    ("hour", "hour of the event time, 0 to 23, UTC", Builtin::Calendar(Calendar::Hour)),
    ("weekday", "day of the week, Monday is 0, UTC", Builtin::Calendar(Calendar::Weekday)),
    ("hour_sin", "sine of hour / 24 of a turn", Builtin::Calendar(Calendar::HourSin)),
    ("hour_cos", "cosine of hour / 24 of a turn", Builtin::Calendar(Calendar::HourCos)),
    ("weekday_sin", "sine of weekday / 7 of a turn", Builtin::Calendar(Calendar::WeekdaySin)),
    ("weekday_cos", "cosine of weekday / 7 of a turn", Builtin::Calendar(Calendar::WeekdayCos)),
    ("night", "whether the hour is 0 to 6, UTC", Builtin::Calendar(Calendar::Night)),
    ("weekend", "whether it is Saturday or Sunday, UTC", Builtin::Calendar(Calendar::Weekend)),
    ("missing_fields", "how many mapped fields and entities have no value", Builtin::MissingFields),
    ("items.lines", "lines of the basket", Builtin::Item(ItemStat::Lines)),
    ("items.quantity", "sum of the quantities", Builtin::Item(ItemStat::Quantity)),
    ("items.total", "sum of quantity times price", Builtin::Item(ItemStat::Total)),
    ("items.max_share", "the largest line's share of that sum", Builtin::Item(ItemStat::MaxShare)),
    ("items.max_sku_quantity", "largest quantity of one sku", Builtin::Item(ItemStat::MaxSkuQuantity)),
];

pub(super) static FUNCTIONS: [(&str, &str); 10] = [
    ("abs", "abs(x): the size of x"),
    ("min", "min(x, y, …): the smallest; missing where any is"),
    ("max", "max(x, y, …): the largest; missing where any is"),
    ("log", "log(x): natural logarithm; missing for x <= 0"),
    ("log1p", "log1p(x): log(1 + x); missing for x <= -1"),
    ("sqrt", "sqrt(x): square root; missing for x < 0"),
    ("floor", "floor(x): the next whole number down"),
    ("is_missing", "is_missing(x): whether a field, a feature or an entity's key has no value"),
    (
        "mismatch",
        "mismatch(a, b): 1 where both have a value and differ, 0 where they are equal, else missing",
    ),
    ("age_seconds", "age_seconds(time): seconds from a time field to the event time"),
];
