//! The features file: names, order and definitions of what it makes.

use super::faults::faults;
use super::read;
use crate::document::Layer;
use crate::features::graph::Graph;
use crate::features::spec::{
    Aggregate, Column, Definition, Feature, FeatureSet, RatioOf, Value, WindowFeature,
};
use crate::schema::samples::{self, entity, field};
use crate::schema::{FieldKind, Schema, TimeForm};
use std::collections::BTreeSet;

/// Entities customer, card, device; fields country and `auth_result` (categories), discount, created; a basket.
pub(super) fn schema() -> Schema {
    Schema {
        items: samples::checkout().items,
        fields: vec![
            field("country", FieldKind::Category),
            field("auth_result", FieldKind::Category),
            field("discount", FieldKind::Number),
            field("created", FieldKind::Time(TimeForm::Text)),
        ],
        entities: ["customer", "card", "device"].map(|name| entity(name, &[name])).into(),
        ..samples::least()
    }
}

#[track_caller]
pub(super) fn features(text: &str) -> FeatureSet {
    read(text, Layer::File, "f.toml", &schema()).unwrap_or_else(|faults| {
        let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"))
    })
}

#[track_caller]
pub(super) fn names(text: &str) -> Vec<String> {
    features(text).features.into_iter().map(|feature| feature.name).collect()
}

fn window(feature: &Feature) -> WindowFeature {
    match &feature.definition {
        Definition::Window(window) => window.clone(),
        Definition::Expression(_) => panic!("{} is an expression", feature.name),
    }
}

const DAY_MS: i64 = 86_400_000;

#[test]
fn tables_expand_by_entity_window_aggregate_field() {
    let text = "[[feature]]\nentity = ['customer', 'card']\nwindows = ['10m', '1d']\n\
                aggregates = ['count', 'sum']\nfield = ['amount', 'discount']\n";
    assert_eq!(
        names(text),
        [
            "customer.count_10m",
            "customer.sum_amount_10m",
            "customer.sum_discount_10m",
            "customer.count_1d",
            "customer.sum_amount_1d",
            "customer.sum_discount_1d",
            "card.count_10m",
            "card.sum_amount_10m",
            "card.sum_discount_10m",
            "card.count_1d",
            "card.sum_amount_1d",
            "card.sum_discount_1d",
        ]
    );
}

#[test]
fn every_aggregate_and_its_name() {
    let declined = "[[condition]]\nname = 'declined'\nwhen = \"auth_result == 'declined'\"\n";
    let all = WindowFeature {
        entity: 1,
        aggregate: Aggregate::Count,
        window_ms: Some(DAY_MS),
        delay_ms: 0,
        inclusive: false,
        label: None,
        condition: None,
    };
    let amount = Column::Amount;
    for (table, name, expected) in [
        ("windows = '24h'\naggregates = 'count'", "card.count_24h", all.clone()),
        (
            "windows = '24h'\naggregates = 'sum'",
            "card.sum_amount_24h",
            WindowFeature { aggregate: Aggregate::Sum(amount), ..all.clone() },
        ),
        (
            "windows = '24h'\naggregates = 'mean'\nfield = 'items.quantity'",
            "card.mean_items_quantity_24h",
            WindowFeature { aggregate: Aggregate::Mean(Column::Slot(5)), ..all.clone() },
        ),
        (
            "windows = '24h'\naggregates = 'min'\nfield = 'discount'",
            "card.min_discount_24h",
            WindowFeature { aggregate: Aggregate::Min(Column::Slot(2)), ..all.clone() },
        ),
        (
            "windows = '24h'\naggregates = 'max'",
            "card.max_amount_24h",
            WindowFeature { aggregate: Aggregate::Max(amount), ..all.clone() },
        ),
        (
            "windows = '24h'\naggregates = 'std'",
            "card.std_amount_24h",
            WindowFeature { aggregate: Aggregate::Std(amount), ..all.clone() },
        ),
        (
            "windows = '24h'\naggregates = 'zscore'\ninclusive = true",
            "card.zscore_amount_24h",
            WindowFeature { aggregate: Aggregate::ZScore(amount), inclusive: true, ..all.clone() },
        ),
        (
            "windows = '24h'\naggregates = 'distinct'\nof = 'device'",
            "card.distinct_device_24h",
            WindowFeature { aggregate: Aggregate::Distinct(Value::Entity(2)), ..all.clone() },
        ),
        (
            "windows = '24h'\naggregates = 'distinct'\nof = 'country'",
            "card.distinct_country_24h",
            WindowFeature { aggregate: Aggregate::Distinct(Value::Slot(0)), ..all.clone() },
        ),
        (
            "windows = '24h'\naggregates = 'distinct'\nof = 'amount'",
            "card.distinct_amount_24h",
            WindowFeature { aggregate: Aggregate::Distinct(Value::Amount), ..all.clone() },
        ),
        (
            "windows = '24h'\naggregates = 'share'\nwhere = 'declined'",
            "card.share_declined_24h",
            WindowFeature { aggregate: Aggregate::Share, condition: Some(0), ..all.clone() },
        ),
        (
            "aggregates = 'run'\nwhere = 'declined'",
            "card.run_declined",
            WindowFeature { aggregate: Aggregate::Run, condition: Some(0), window_ms: None, ..all.clone() },
        ),
        (
            "windows = '1h'\naggregates = 'count'\nwhere = \"country == 'DE'\"\nwhere_name = 'german'",
            "card.count_german_1h",
            WindowFeature { window_ms: Some(3_600_000), condition: Some(0), ..all.clone() },
        ),
        (
            "windows = '1h'\naggregates = 'count'\nwhere = 'night'",
            "card.count_night_1h",
            WindowFeature { window_ms: Some(3_600_000), condition: Some(0), ..all.clone() },
        ),
        (
            "aggregates = 'seconds_since_last'",
            "card.seconds_since_last",
            WindowFeature { aggregate: Aggregate::SecondsSinceLast, window_ms: None, ..all.clone() },
        ),
        (
            "windows = '7d'\naggregates = 'seconds_since_last'",
            "card.seconds_since_last_7d",
            WindowFeature {
                aggregate: Aggregate::SecondsSinceLast,
                window_ms: Some(7 * DAY_MS),
                ..all.clone()
            },
        ),
        (
            "aggregates = 'seconds_since_first'",
            "card.seconds_since_first",
            WindowFeature { aggregate: Aggregate::SecondsSinceFirst, window_ms: None, ..all.clone() },
        ),
        (
            "windows = '1h'\naggregates = 'ratio'\nover = '7d'",
            "card.ratio_count_1h_7d",
            WindowFeature {
                aggregate: Aggregate::Ratio { of: RatioOf::Count, over_ms: 7 * DAY_MS },
                window_ms: Some(3_600_000),
                ..all.clone()
            },
        ),
        (
            "windows = '24h'\naggregates = 'ratio'\nratio_of = 'sum'\nover = '7d'",
            "card.ratio_sum_amount_24h_7d",
            WindowFeature {
                aggregate: Aggregate::Ratio { of: RatioOf::Sum(amount), over_ms: 7 * DAY_MS },
                ..all.clone()
            },
        ),
        (
            "windows = '24h'\naggregates = 'count'\ndelay = '7d'",
            "card.count_24h_delay_7d",
            WindowFeature { delay_ms: 7 * DAY_MS, ..all.clone() },
        ),
        ("windows = '24h'\naggregates = 'count'\nname = 'busy'", "busy", all.clone()),
    ] {
        // The second is what a run looks back over.
        let other = "[[feature]]\nentity = 'card'\nwindows = '2h'\naggregates = 'count'\n";
        let set = features(&format!("{declined}[[feature]]\nentity = 'card'\n{table}\n{other}"));
        assert_eq!(set.features.len(), 2, "{table}");
        assert_eq!(set.features[0].name, name);
        assert_eq!(window(&set.features[0]), expected, "{name}");
    }
}

#[test]
fn defaults_hold_where_a_table_says_nothing() {
    let set = features(
        "[defaults]\ninclusive = true\n\
         [[feature]]\nentity = 'card'\nwindows = '1h'\naggregates = 'count'\n\
         [[feature]]\nentity = 'card'\nwindows = '1d'\naggregates = 'count'\ninclusive = false\n\
         [[feature]]\nentity = 'card'\nwindows = '1d'\naggregates = 'count'\ndelay = '1d'\n\
         [[feature]]\nentity = 'card'\nwindows = '1d'\naggregates = 'seconds_since_last'\n",
    );
    let inclusive: Vec<_> = set.features.iter().map(|feature| window(feature).inclusive).collect();
    assert_eq!(inclusive, [true, false, false, false]);
}

#[test]
fn conditions_are_kept_where_they_are_used_and_once() {
    let set = features(
        "[[condition]]\nname = 'unused'\nwhen = 'amount > 1'\n\
         [[condition]]\nname = 'large'\nwhen = 'amount > 100'\nmeaning = 'above 100'\n\
         [[feature]]\nentity = ['customer', 'card']\nwindows = ['1h', '1d']\naggregates = ['count', 'share']\n\
         where = 'large'\n\
         [[feature]]\nentity = 'card'\nwindows = '7d'\naggregates = 'count'\n\
         where = 'amount > 100'\nwhere_name = 'large'\n",
    );
    assert_eq!(set.conditions.len(), 1);
    assert_eq!(set.features.len(), 9);
    assert_eq!(set.features[0].meaning, "Number of orders with this customer above 100 in the last hour");
}

#[test]
fn what_the_file_says_of_a_feature_wins() {
    let set = features(
        "[[feature]]\nname = 'x'\nvalue = 'amount / 2'\nor = -1\nunit = 'u'\nmeaning = 'm'\n\
         reason = 'r {value}'\ncode = 'C_1'\n\
         [[feature]]\nentity = 'card'\nwindows = ['1h', '1d']\naggregates = 'count'\nor = 0\n\
         reason = '{value} within {window}'\nreason_zero = 'none in {window}'\nreason_missing = 'no {window}'\n\
         code = 'BUSY'\n\
         [[feature]]\nentity = 'card'\nwindows = '7d'\naggregates = 'count'\nreason = '{value} {a|b}'\n",
    );
    let told = |feature: &Feature| {
        (
            feature.or,
            feature.unit.clone(),
            feature.meaning.clone(),
            feature.reason.value.clone(),
            feature.code.clone(),
        )
    };
    assert_eq!(
        told(&set.features[0]),
        (Some(-1.0), "u".into(), "m".into(), "r {value}".into(), "C_1".into())
    );
    let all = |index: usize| {
        let reason = &set.features[index].reason;
        (reason.value.as_str(), reason.zero.as_deref(), reason.missing.as_str(), reason.keyless.as_deref())
    };
    assert_eq!(all(0), ("r {value}", None, "x is not known", None));
    assert_eq!(all(1), ("{value} within 1 hour", Some("none in 1 hour"), "no 1 hour", None));
    assert_eq!(all(2), ("{value} within 1 day", Some("none in 1 day"), "no 1 day", None));
    let missing = "no earlier orders with this card in the last 7 days";
    assert_eq!(all(3), ("{value} {a|b}", None, missing, Some("no card was given")));
    assert_eq!(set.features[2].code, "BUSY");
    assert_eq!(set.features[2].meaning, "Number of orders with this card in the last day");
}

#[test]
fn defaults_may_be_exact_values() {
    let set = features(
        "[[feature]]\nentity = 'card'\nwindows = '1h'\naggregates = 'count'\nor = -1\n\
         [[feature]]\nentity = 'card'\nwindows = '1h'\naggregates = 'sum'\nor = 0.29\n\
         [[feature]]\nentity = 'card'\nwindows = '1h'\naggregates = 'mean'\nor = 0.123456789\n",
    );
    let or: Vec<_> = set.features.iter().map(|feature| feature.or).collect();
    assert_eq!(or, [Some(-1.0), Some(0.29), Some(0.123_456_789)]);
}

#[test]
fn expressions_read_features_of_any_place() {
    let set = features(
        "[[feature]]\nname = 'twice'\nvalue = '2 * half'\n\
         [[feature]]\nname = 'half'\nvalue = 'card.count_1h / 2'\n\
         [[feature]]\nentity = 'card'\nwindows = '1h'\naggregates = 'count'\n",
    );
    let reads = |index: usize| match &set.features[index].definition {
        Definition::Expression(program) => program.reads().to_vec(),
        Definition::Window(_) => panic!("an expression"),
    };
    assert_eq!((reads(0), reads(1)), (vec![1], vec![2]));
}

const FLAGS: &str = "
[flags]
large = 'amount > 2 * customer.mean_amount_30d'
burst = 'large && customer.count_large_7d >= 2'
dear = 'amount > 100'
[[feature]]
entity = 'customer'
windows = '30d'
aggregates = 'mean'
[[feature]]
entity = 'customer'
windows = '7d'
aggregates = ['count', 'share']
where = 'large'
[[feature]]
entity = 'card'
windows = '1d'
aggregates = 'count'
where = 'burst'
[[feature]]
entity = 'card'
windows = '1d'
aggregates = 'count'
where = 'dear'
[[feature]]
name = 'is_burst'
value = 'burst'
";

#[test]
fn flags_are_conditions_of_windows_and_operands_of_expressions() {
    let set = features(FLAGS);
    let names: Vec<_> = set.features.iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "customer.mean_amount_30d",
            "customer.count_large_7d",
            "customer.share_large_7d",
            "card.count_burst_1d",
            "card.count_dear_1d",
            "is_burst"
        ]
    );
    let conditions: Vec<_> = set.conditions.iter().map(|condition| condition.name.as_str()).collect();
    assert_eq!(conditions, ["large", "burst", "dear"], "in the order in which windows count them");
    assert_eq!(
        set.features[1].meaning,
        "Number of orders with this customer that are large in the last 7 days"
    );
    let Definition::Expression(program) = &set.features[5].definition else { panic!("an expression") };
    assert!(program.is_truth());
    // mean, two windows of large, one of burst, one of dear, the expression; large, burst, dear.
    assert_eq!(Graph::of(&set).layers(), [0, 1, 1, 2, 0, 2, 1, 2, 0]);
}

/// A name that is taken hides no fault of the expression below it.
#[test]
fn an_expression_is_looked_at_whatever_its_name() {
    faults(
        "[[feature]]\nname = 'amount'\nvalue = 'amoun * 2'\n[[feature]]\nname = 'a-b'\nvalue = 'log(amount'\n",
        &[
            "f.toml:2:8: feature.name: \"amount\" already is a field or a built-in name of another value",
            "f.toml:3:10: amount: amoun is no mapped field, feature, flag or built-in name; did you mean \"amount\"?",
            "f.toml:5:8: feature.name: \"a-b\" is no name; words of letters, digits and _, joined by dots",
            "f.toml:6:20: a-b: the end where \",\" or \")\" belongs between arguments",
        ],
    );
}

#[test]
fn words_are_of_what_there_is() {
    let what = "names nothing that texts speak of: an entity, a mapped field, amount, order, orders";
    faults(
        "[words]\norderz = 'x'\ncrad = 'y'\nwindow = 'z'\n'items.line' = 'l'\n[[feature]]\nname = 'x'\nvalue = '1'\n",
        &[
            &format!("f.toml:2:1: words.orderz: {what}; did you mean \"order\"?"),
            &format!("f.toml:3:1: words.crad: {what}; did you mean \"card\"?"),
            &format!("f.toml:4:1: words.window: {what}"),
            &format!("f.toml:5:1: words.items.line: {what}; did you mean \"items.lines\"?"),
        ],
    );
    let all =
        "[words]\norder = 'a'\norders = 'b'\namount = 'c'\ncard = 'd'\ncountry = 'e'\n'items.total' = 'f'\n";
    assert_eq!(names(&format!("{all}[[feature]]\nname = 'x'\nvalue = '1'\n")), ["x"]);
}

/// Of a table of neither shape its keys are still known or not.
#[test]
fn keys_of_no_shape() {
    let needs = "needs value = \"<expression>\", or entity, windows and aggregates";
    faults(
        "[[feature]]\nnam = 'z'\n[[feature]]\nname = 'y'\nvalu = '1'\n[[feature]]\nentiti = 'card'\nwindows = '1h'\n\
         [[feature]]\nwindows = '1h'\n",
        &[
            &format!("f.toml:1:1: feature: {needs}"),
            "f.toml:2:1: feature.nam: unknown key; did you mean \"name\"?",
            "f.toml:5:1: feature.valu: unknown key; did you mean \"value\"?",
            "f.toml:7:1: feature.entiti: unknown key; did you mean \"entity\"?",
            &format!("f.toml:9:1: feature: {needs}"),
        ],
    );
    faults(
        "[[feature]]\nvalue = '1'\nentity = 'card'\nmeanin = 'm'\n",
        &[
            "f.toml:1:1: feature: has value and entity; it is one or the other",
            "f.toml:4:1: feature.meanin: unknown key; did you mean \"meaning\"?",
        ],
    );
    // All that the two shapes ask for, and no more.
    let unknown = |table: &str| {
        let text = format!("[[feature]]\n{table}zzzzz = 1\n");
        let found = read(&text, Layer::File, "f.toml", &schema()).expect_err("an unknown key");
        let what = found.into_iter().find(|fault| fault.key == "feature.zzzzz").expect("told").what;
        let (_, known) = what.split_once("known here: ").expect("a list");
        known.split(", ").map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let either = unknown("value = '1'\n").union(&unknown("entity = 'card'\n")).cloned().collect();
    assert_eq!(unknown(""), either);
}
