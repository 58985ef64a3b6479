//! The features file: every way in which it can be wrong, and what is told of it.

use super::read;
use super::tests::{features, names, schema};
use crate::document::Layer;
use crate::limits::{CONDITIONS_MAX, FEATURES_MAX};
use crate::schema::samples::path;
use crate::schema::{Labels, LabelsFrom, Schema};

#[track_caller]
pub(super) fn faults(text: &str, expected: &[&str]) {
    let found = read(text, Layer::File, "f.toml", &schema()).expect_err("faults");
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(lines, expected, "{text}");
}

#[test]
fn faults_of_shape() {
    faults("", &["f.toml: feature: there is none; write at least one [[feature]]"]);
    faults(
        "[[feature]]\nname = 'x'\n",
        &["f.toml:1:1: feature: needs value = \"<expression>\", or entity, windows and aggregates"],
    );
    faults(
        "[[feature]]\nname = 'x'\nvalue = '1'\nentity = 'card'\n[[feature]]\nname = 'y'\nvalue = '1'\n",
        &["f.toml:1:1: feature: has value and entity; it is one or the other"],
    );
    faults(
        "feature = 3\n",
        &[
            "f.toml: feature: there is none; write at least one [[feature]]",
            "f.toml:1:11: feature: 3 is not a list of tables; write [[feature]]",
        ],
    );
    faults(
        "[[feature]]\nname = 'y'\nvalue = '1'\nwindow = '1h'\n[default]\ninclusive = true\n",
        &[
            "f.toml:4:1: feature.window: unknown key; known here: value, entity, name, or, unit, meaning, reason, reason_zero, reason_missing, code",
            "f.toml:5:2: default: unknown key; did you mean \"defaults\"?",
        ],
    );
}

/// What could be read of a text that is no TOML would make faults of what could not.
#[test]
fn a_text_that_is_no_toml_has_that_fault_alone() {
    let windows = "[[feature]]\nentity = 'card'\nwindows = '1h'\naggregates = 'count'\n";
    for (text, fault) in [
        ("[[feature]]\nname = 'x'\nvalue = '[broken\n", "3:"),
        ("[[feature]\nname = 'x'\n", "1:"),
        ("[[feature]]\nname = x\nvalue = 'amout'\n", "2:"),
        (&format!("[[condition]]\nname = 'c\nwhen = 'country == 1'\n{windows}where = 'c'\n"), "2:"),
    ] {
        let found = read(text, Layer::File, "f.toml", &schema()).expect_err("faults");
        let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert!(lines[0].starts_with(&format!("f.toml:{fault}")), "{lines:?}");
        assert!(lines.iter().all(|line| line.contains("not TOML")), "{lines:?}");
    }
}

/// A table of windows with one line replaced or added.
#[track_caller]
fn table_fault(lines: &str, expected: &[&str]) {
    let good = "[[feature]]\nname = 'good'\nvalue = '1'\n";
    faults(&format!("{good}[[feature]]\n{lines}"), expected);
}

/// A table of one aggregate, and more lines of it from the eighth on.
fn table(aggregate: &str, more: &str) -> String {
    format!("entity = 'card'\nwindows = ['1h']\naggregates = ['{aggregate}']\n{more}")
}

#[test]
fn faults_of_windows() {
    let base = "entity = 'card'\nwindows = ['1h']\naggregates = ['count']\n";
    table_fault(
        &base.replace("card", "crad"),
        &["f.toml:5:10: feature.entity: \"crad\" is no entity of [entities]; did you mean \"card\"?"],
    );
    table_fault(
        &base.replace("1h", "1 hour"),
        &[
            "f.toml:6:12: feature.windows: \"1 hour\" is not a duration; a whole number and a unit (s, m, h, d), such as \"10m\"",
        ],
    );
    table_fault(
        &base.replace("'1h'", "'999ms', '91d'"),
        &[
            "f.toml:6:12: feature.windows: \"999ms\" is out of range; from 1s to 90d",
            "f.toml:6:21: feature.windows: \"91d\" is out of range; from 1s to 90d",
        ],
    );
    table_fault(
        &base.replace("count", "cuont"),
        &[
            "f.toml:7:15: feature.aggregates: \"cuont\" is no aggregate; one of count, sum, mean, min, max, std, zscore, distinct, share, last, run, seconds_since_last, seconds_since_first, ratio; did you mean \"count\"?",
        ],
    );
    table_fault(
        &base.replace("windows = ['1h']\n", ""),
        &["f.toml:4:1: feature.windows: is missing; a list such as [\"10m\", \"24h\"]"],
    );
    table_fault(
        &base.replace("aggregates = ['count']\n", ""),
        &["f.toml:4:1: feature.aggregates: is missing; a list such as [\"count\", \"sum\"]"],
    );
    table_fault(
        &format!("{base}delay = '7d'\ninclusive = true\n"),
        &[
            "f.toml:9:13: feature.inclusive: the current event lies outside a delayed window; leave out inclusive or delay",
        ],
    );
    table_fault(
        &format!("{base}field = 'amount'\nof = 'device'\nover = '7d'\nratio_of = 'sum'\nwhere_name = 'x'\n"),
        &[
            "f.toml:8:9: feature.field: no aggregate of this table takes a field",
            "f.toml:9:6: feature.of: belongs to the aggregate distinct, which this table has not",
            "f.toml:10:8: feature.over: belongs to the aggregate ratio, which this table has not",
            "f.toml:11:12: feature.ratio_of: belongs to the aggregate ratio, which this table has not",
            "f.toml:12:14: feature.where_name: names the condition of where, which is missing",
        ],
    );
    table_fault(
        &base.replace("['1h']", "['1h', '1d']").replace("['count']", "['count']\nname = 'x'\nmeaning = 'm'"),
        &[
            "f.toml:8:8: feature.name: stands for one feature, and this table makes 2",
            "f.toml:9:11: feature.meaning: stands for one feature, and this table makes 2",
        ],
    );
}

#[test]
fn faults_of_aggregates() {
    table_fault(
        &table("sum", "field = ['country', 'discuont', 'items.lines']\n"),
        &[
            "f.toml:8:10: feature.field: \"country\" is not of type number; only distinct can count it",
            "f.toml:8:21: feature.field: \"discuont\" is no mapped field or amount; did you mean \"discount\"?",
            "f.toml:8:33: feature.field: \"items.lines\" is not of type number; only distinct can count it",
        ],
    );
    table_fault(
        &table("distinct", ""),
        &["f.toml:4:1: feature.of: is missing; what distinct counts: another entity or a field"],
    );
    table_fault(
        &table("distinct", "of = ['card', 'devise']\n"),
        &[
            "f.toml:8:7: feature.of: \"card\" is the entity itself; it has one value only",
            "f.toml:8:15: feature.of: \"devise\" is no entity, mapped field or amount; did you mean \"device\"?",
        ],
    );
    table_fault(
        &table("share", ""),
        &["f.toml:4:1: feature.where: is missing; the condition that share is about"],
    );
    table_fault(
        &table("run", "where = 'night'\n"),
        &["f.toml:6:11: feature.windows: run takes no window; give it a table of its own"],
    );
    table_fault(
        "entity = 'card'\naggregates = 'seconds_since_first'\nwhere = 'night'\n",
        &[
            "f.toml:4:1: feature.windows: is missing; seconds_since_first with a condition looks back over a window",
        ],
    );
    table_fault(
        &table("seconds_since_first", "inclusive = true\n"),
        &[
            "f.toml:8:13: feature.inclusive: seconds_since_first over a window never counts the event itself; leave inclusive out",
        ],
    );
    table_fault(
        &table("last", ""),
        &["f.toml:4:1: feature.where: is missing; the condition that last is about"],
    );
    table_fault(
        &table("last", "where = 'night'\ninclusive = true\n"),
        &["f.toml:9:13: feature.inclusive: last would always be about the event itself; leave inclusive out"],
    );
    table_fault(
        "entity = 'card'\naggregates = 'seconds_since_last'\nwhere = 'night'\n",
        &[
            "f.toml:4:1: feature.windows: is missing; seconds_since_last with a condition looks back over a window",
        ],
    );
    table_fault(
        "entity = 'card'\naggregates = 'seconds_since_last'\ndelay = '1d'\n",
        &["f.toml:7:9: feature.delay: belongs to a window, and this table has none"],
    );
    table_fault(
        &table("seconds_since_last", "inclusive = true\n"),
        &["f.toml:8:13: feature.inclusive: seconds_since_last would always be 0; leave inclusive out"],
    );
    table_fault(
        &table("ratio", ""),
        &["f.toml:4:1: feature.over: is missing; the longer window that ratio divides by, such as \"7d\""],
    );
    table_fault(
        &table("ratio", "over = '60m'\n"),
        &["f.toml:8:8: feature.over: \"60m\" is the window itself; the ratio would always be 1"],
    );
    table_fault(
        &table("count", "reason = '{wert} {order|orders}'\ncode = 'busy'\nor = 'none'\n"),
        &[
            "f.toml:8:10: feature.reason: \"{wert} {order|orders}\" has braces that mean nothing; {value}, {percent}, {amount}, {one|many}, {window} can be replaced",
            "f.toml:9:8: feature.code: \"busy\" is no code; capitals, digits and _, such as \"CARD_COUNT\"",
            "f.toml:10:6: feature.or: \"none\" is not a number",
        ],
    );
}

#[test]
fn a_default_is_a_value_of_its_feature() {
    let whole = "is no value of this feature; a whole number, such as 0";
    table_fault(&table("count", "or = 0.5\n"), &[&format!("f.toml:8:6: feature.or: 0.5 {whole}")]);
    table_fault(&table("count", "or = 1e300\n"), &[&format!("f.toml:8:6: feature.or: 1e300 {whole}")]);
    table_fault(
        &table("sum", "or = 0.00001\n"),
        &[
            "f.toml:8:6: feature.or: 1e-5 is no value of this feature; a number of at most 2 decimals, such as 0",
        ],
    );
    faults(
        "[[feature]]\nname = 'x'\nvalue = 'amount > 5'\nor = 0.5\n",
        &[&format!("f.toml:4:6: feature.or: 0.5 {whole}")],
    );
}

#[test]
fn a_run_has_something_to_look_back_over() {
    let what = "run looks back over the longest window of \"card\", which has none, so that it would not count; give \
                \"card\" a window, such as entity = \"card\", windows = \"7d\", aggregates = \"count\"";
    let run =
        "[[feature]]\nentity = 'card'\naggregates = 'run'\nwhere = 'amount > 5'\nwhere_name = 'large'\n";
    let other = "[[feature]]\nentity = 'customer'\nwindows = '1h'\naggregates = 'count'\n";
    faults(&format!("{run}{other}"), &[&format!("f.toml:1:1: card.run_large: {what}")]);
}

#[test]
fn faults_of_conditions() {
    table_fault(
        "entity = 'card'\nwindows = '1h'\naggregates = 'count'\nwhere = 'declnied'\n\
         [[condition]]\nname = 'declined'\nwhen = \"auth_result == 'declined'\"\n",
        &["f.toml:8:9: feature.where: no condition is named \"declnied\"; did you mean \"declined\"?"],
    );
    table_fault(
        "entity = 'card'\nwindows = '1h'\naggregates = 'count'\nwhere = 'amount > 5'\n",
        &[
            "f.toml:8:9: feature.where: an expression here needs where_name, which stands in the names of the features",
        ],
    );
    table_fault(
        "entity = 'card'\nwindows = '1h'\naggregates = 'count'\nwhere = 'amount > 5'\nwhere_name = 'a b'\n",
        &["f.toml:9:14: feature.where_name: \"a b\" is no word; letters, digits and _, not a digit first"],
    );
    table_fault(
        "entity = 'card'\nwindows = '1h'\naggregates = 'count'\nwhere = 'amount > good'\nwhere_name = 'x'\n",
        &[
            "f.toml:8:19: feature.where: good is no mapped field or built-in name; a condition reads the event's own fields only",
        ],
    );
    faults(
        "[[feature]]\nname = 'x'\nvalue = '1'\n[[condition]]\nname = 'a'\nwhen = 'amount'\n\
         [[condition]]\nname = 'a'\nwhen = 'night'\n[[condition]]\nwhen = 'night'\n[[condition]]\nname = 'b'\n",
        &[
            "f.toml:6:8: condition.when: a number is no condition; compare it",
            "f.toml:7:1: condition.name: \"a\": used for another condition already",
            "f.toml:10:1: condition.name: is missing; a word such as \"declined\"",
            "f.toml:12:1: condition.when: is missing; an expression over the event's fields",
        ],
    );
}

#[test]
fn faults_of_names_and_expressions() {
    faults(
        "[[feature]]\nname = 'x'\nvalue = '1'\n[[feature]]\nname = 'x'\nvalue = '2'\n",
        &["f.toml:4:1: x: a second feature of this name; the first stands at f.toml:1:1"],
    );
    faults(
        "[[feature]]\nname = 'a-b'\nvalue = '1'\n[[feature]]\nname = 'amount'\nvalue = 'amount * 2'\n\
         [[feature]]\nname = 'z'\nvalue = '1'\n",
        &[
            "f.toml:2:8: feature.name: \"a-b\" is no name; words of letters, digits and _, joined by dots",
            "f.toml:5:8: feature.name: \"amount\" already is a field or a built-in name of another value",
        ],
    );
    faults(
        "[[feature]]\nname = 'x'\nvalue = 'amount + card.cuont_1h'\n\
         [[feature]]\nentity = 'card'\nwindows = '1h'\naggregates = 'count'\n",
        &[
            "f.toml:3:19: x: card.cuont_1h is no mapped field, feature, flag or built-in name; did you mean \"card.count_1h\"?",
        ],
    );
}

#[test]
fn faults_of_labels() {
    let from = LabelsFrom::Column { path: path("fraud"), delay_ms: 0 };
    let column = Labels { from, maturity_ms: None, memory_bytes: 1 << 20 };
    let with_labels = Schema { labels: Some(column), ..schema() };
    let label = |aggregate: &str, label: &str, more: &str| {
        format!("[[feature]]\n{}", table(aggregate, &format!("label = '{label}'\n{more}")))
    };
    let told = |text: &str, schema: &Schema| {
        let found = read(text, Layer::File, "f.toml", schema).err();
        found.iter().flatten().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(told(&label("share", "fraud", ""), &with_labels), [""; 0]);
    assert_eq!(
        told(&label("count", "fraud", ""), &schema()),
        [
            "f.toml:5:9: feature.label: no label is ever known; give [labels] column or input in the configuration"
        ]
    );
    for (text, fault) in [
        (
            label("count", "fruad", ""),
            "f.toml:5:9: feature.label: \"fruad\" is not known; one of known, fraud, genuine; did you mean \"fraud\"?",
        ),
        (label("ratio", "fraud", "over = '7d'\n"), "f.toml:4:14: feature.aggregates: ratio takes no label"),
        (
            label("share", "known", ""),
            "f.toml:5:9: feature.label: share of the known would always be 1; fraud or genuine",
        ),
        (
            label("count", "fraud", "inclusive = true\n"),
            "f.toml:6:13: feature.inclusive: the label of the current event is not known; leave inclusive out",
        ),
        (
            label("count", "fraud", "").replace("windows = ['1h']\n", ""),
            "f.toml:1:1: feature.windows: is missing; labels are looked back at over windows",
        ),
        (
            format!("[flags]\nlarge = 'amount > 5'\n{}", label("count", "fraud", "where = 'large'\n")),
            "f.toml:8:9: feature.where: \"large\" is a flag; beside label a condition over fields",
        ),
    ] {
        assert_eq!(told(&text, &with_labels), [fault], "{text}");
    }
}

#[test]
fn circles_are_named() {
    let feature = |name: &str, value: &str| format!("[[feature]]\nname = '{name}'\nvalue = '{value}'\n");
    faults(&feature("a", "a + 1"), &["f.toml:1:1: a: depends on itself: a -> a"]);
    faults(
        &[feature("a", "b"), feature("b", "c"), feature("c", "b + d"), feature("d", "1")].concat(),
        &["f.toml:4:1: b: depends on itself: b -> c -> b"],
    );
    // A diamond is no circle.
    let diamond = [feature("a", "b + c"), feature("b", "d"), feature("c", "d"), feature("d", "1")].concat();
    assert_eq!(names(&diamond), ["a", "b", "c", "d"]);
}

#[test]
fn faults_of_flags() {
    let counted = |name: &str| {
        format!("[[feature]]\nentity = 'card'\nwindows = '1d'\naggregates = 'count'\nwhere = '{name}'\n")
    };
    faults(
        &format!("[flags]\nlarge = 'card.count_large_1d > 1'\n{}", counted("large")),
        &[
            "f.toml:3:1: card.count_large_1d: depends on itself: card.count_large_1d -> large -> card.count_large_1d",
        ],
    );
    faults(
        &format!("[flags]\na = 'b'\nb = '!a'\n{}", counted("a")),
        &["f.toml:2:1: a: depends on itself: a -> b -> a"],
    );
    faults(
        &format!(
            "[flags]\namount = 'night'\n'a-b' = 'night'\nc = 1.5\nd = 'amount'\ne = 'nihgt'\nf = 'night'\n{}",
            "[[feature]]\nname = 'f'\nvalue = '1'\n[[condition]]\nname = 'd'\nwhen = 'night'\n"
        ),
        &[
            "f.toml:2:1: flags.amount: \"amount\" already is a field or a built-in name",
            "f.toml:3:1: flags.a-b: \"a-b\": letters, digits and _, not a digit first",
            "f.toml:4:5: flags.c: a condition in quotes, such as \"amount > 100\"",
            "f.toml:5:5: flags.d: a number is no condition; compare it",
            "f.toml:6:6: flags.e: nihgt is no mapped field, feature, flag or built-in name; did you mean \"night\"?",
            "f.toml:7:1: f: is the name of a feature and of a flag; rename one",
            "f.toml:11:1: condition.name: \"d\": used for a flag already",
        ],
    );
    faults(
        &format!(
            "[flags]\nlarge = 'card.count_1d > 1'\n{}{}",
            "[[feature]]\nentity = 'card'\nwindows = '1d'\naggregates = 'count'\n",
            "[[feature]]\nentity = 'card'\naggregates = 'run'\nwhere = 'large'\n"
        ),
        &[
            "f.toml:7:1: card.run_large: run looks back over the longest window of \"card\" over its flags, which has none, \
             so that it would not count; give \"card\" a window, such as entity = \"card\", windows = \"7d\", \
             aggregates = \"count\", where = \"<the flag>\"",
        ],
    );
}

#[test]
fn limits_hold_on_both_sides() {
    let many = |n: usize| {
        let windows: Vec<_> = (1..=n).map(|seconds| format!("'{seconds}s'")).collect();
        format!("[[feature]]\nentity = 'card'\nwindows = [{}]\naggregates = 'count'\n", windows.join(", "))
    };
    assert_eq!(names(&many(FEATURES_MAX)).len(), FEATURES_MAX);
    faults(&many(FEATURES_MAX + 1), &["f.toml:1:1: feature: one feature too many; at most 4096"]);
    let conditions = |n: usize| {
        let table = |index: usize| {
            format!(
                "[[feature]]\nentity = 'card'\nwindows = '1h'\naggregates = 'count'\n\
                 where = 'amount > {index}'\nwhere_name = 'above_{index}'\n"
            )
        };
        (0..n).map(table).collect::<String>()
    };
    assert_eq!(features(&conditions(CONDITIONS_MAX)).conditions.len(), CONDITIONS_MAX);
    let line = CONDITIONS_MAX * 6 + 5;
    faults(
        &conditions(CONDITIONS_MAX + 1),
        &[&format!("f.toml:{line}:9: feature.where: one condition too many; at most 64")],
    );
}

#[test]
fn everything_wrong_is_told_at_once() {
    faults(
        "[[feature]]\nentity = 'crad'\nwindows = ['91d']\naggregates = ['sum']\nfield = 'country'\n\
         [[feature]]\nname = 'x'\nvalue = 'y +'\nsurprise = 1\n[oops]\n",
        &[
            "f.toml:2:10: feature.entity: \"crad\" is no entity of [entities]; did you mean \"card\"?",
            "f.toml:3:12: feature.windows: \"91d\" is out of range; from 1s to 90d",
            "f.toml:5:9: feature.field: \"country\" is not of type number; only distinct can count it",
            "f.toml:8:13: x: the end where a value belongs",
            "f.toml:9:1: feature.surprise: unknown key; known here: value, entity, name, or, unit, meaning, reason, reason_zero, reason_missing, code",
            "f.toml:10:2: oops: unknown key; known here: words, defaults, flags, condition, feature",
        ],
    );
}
