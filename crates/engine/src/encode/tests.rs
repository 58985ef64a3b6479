//! The lines as a whole: each form to the byte, and any values against a twin that writes them one by one.

use super::*;
use crate::currency::Currency;
use crate::decide::Decision;
use crate::event::{EventRef, Head, IdText, KeyTexts, marks};
use crate::features::cell::{Cell, Shape};
use crate::features::sentence::Sentences;
use crate::record::PlaceRef;
use crate::reject::{Reason as RejectReason, Reject, Subject};
use crate::schema::samples::{checkout, entity, path};
use crate::schema::{CurrencySource, Field, FieldKind, Schema};
use proptest::prelude::*;
use std::fmt::Write;
use std::sync::{Arc, LazyLock};

const RECORD: &[u8] = br#"{"event_id":"a\"1","amount":"12.34"}"#;
const TWO: Shape = Shape::Decimal { digits: 2 };

fn schema() -> Schema {
    Schema {
        amount: path("order.total"),
        currency: CurrencySource::Path { path: path("cur\"rency"), default: None },
        fields: vec![Field { name: "age".into(), path: path("buyer.age"), kind: FieldKind::Number }],
        entities: vec![entity("card", &["card_id"]), entity("pair", &["customer_id", "card_id"])],
        ..checkout()
    }
}

fn meta(name: &str, shape: Shape) -> FeatureMeta<'_> {
    static REASON: LazyLock<Sentences> = LazyLock::new(|| Sentences {
        value: "about {value}, you see".into(),
        missing: "nothing to see".into(),
        ..Sentences::default()
    });
    FeatureMeta { name, shape, same_as: None, code: "SOME_CODE", reason: &REASON, unit: "", entity: None }
}

fn head() -> Head {
    Head {
        time_ms: 5,
        shown_ms: 1_522_540_831_000,
        amount_minor: 1234,
        id: IdText { start: 13, len: 4 },
        currency: Currency::from_code(b"EUR").expect("a currency").0,
        ..Head::default()
    }
}

fn line<'a>(head: &'a Head, cells: &'a [Cell]) -> Line<'a> {
    Line {
        record: RECORD,
        is_one_line: false,
        event: EventRef { head, keys: &[], slots: &[] },
        sequence: 17,
        id: None,
        decision: Decision::Approve,
        score: None,
        marks: 0,
        cells,
        reasons: &[],
    }
}

fn writer(metas: &[FeatureMeta<'_>], options: &LineOptions) -> LineWriter {
    LineWriter::new(Arc::new(LinePlan::new(metas, options, &schema())))
}

fn decision(writer: &mut LineWriter, line: &Line<'_>) -> String {
    let mut out = Vec::new();
    writer.decision(&mut out, line);
    let text = String::from_utf8(out).expect("UTF-8");
    assert_eq!(text.find('\n'), Some(text.len() - 1), "one line");
    serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
    text
}

#[test]
fn a_decision_without_a_model() {
    let metas = [meta("n", Shape::Integer), meta("sum", TWO), meta("r\"", Shape::Real)];
    let (head, cells) = (head(), [Cell(3), Cell(300), Cell::real(0.1)]);
    assert_eq!(
        decision(&mut writer(&metas, &LineOptions::default()), &line(&head, &cells)),
        concat!(
            r#"{"event_id":"a\"1","event_time":"2018-04-01T00:00:31.000Z","sequence":17,"decision":"approve","#,
            r#""score":null,"model":null,"reasons":[],"marks":[],"features":{"n":3,"sum":3.00,"r\"":0.1},"#,
            r#""event":{"event_id":"a\"1","amount":"12.34"}}"#,
            "\n"
        )
    );
}

#[test]
fn a_decision_with_everything() {
    let metas = [meta("n", Shape::Integer), meta("sum", TWO)];
    let options =
        LineOptions { as_array: true, event: false, model: Some("demo/1".into()), ..LineOptions::default() };
    let (head, cells) = (head(), [Cell::MISSING, Cell(1234)]);
    let reasons = [
        Reason { feature: 1, contribution: 1.5, approximate: false },
        Reason { feature: 0, contribution: -0.25, approximate: true },
    ];
    let line = Line {
        decision: Decision::Decline,
        score: Some(ScoreText::F32(0.1)),
        marks: marks::LATE | marks::EARLY | marks::SATURATED | marks::DEGRADED,
        reasons: &reasons,
        ..line(&head, &cells)
    };
    assert_eq!(
        decision(&mut writer(&metas, &options), &line),
        concat!(
            r#"{"event_id":"a\"1","event_time":"2018-04-01T00:00:31.000Z","sequence":17,"decision":"decline","#,
            r#""score":0.1,"model":"demo/1","reasons":[{"code":"SOME_CODE","text":"about 12.34, you see","#,
            r#""feature":"sum","value":12.34,"contribution":1.5},{"code":"SOME_CODE","#,
            r#""text":"nothing to see","feature":"n","value":null,"contribution":-0.25,"#,
            r#""approximate":true}],"marks":["late","early","saturated","degraded"],"features":[null,12.34]}"#,
            "\n"
        )
    );
}

#[test]
fn scores_are_written_in_their_own_type() {
    let mut writer = writer(&[], &LineOptions { features: Selection::None, ..LineOptions::default() });
    let head = head();
    for (score, text) in [
        (ScoreText::F32(0.3), "0.3"),
        (ScoreText::F64(f64::from(0.3f32)), "0.30000001192092896"),
        (ScoreText::F32(0.0), "0.0"),
        (ScoreText::F64(f64::NAN), "null"),
        (ScoreText::F32(f32::INFINITY), "null"),
    ] {
        let text = format!(r#""decision":"review","score":{text},"model":null,"#);
        let line = Line { score: Some(score), decision: Decision::Review, ..line(&head, &[]) };
        let written = decision(&mut writer, &line);
        assert!(written.contains(&text), "{written}");
        assert!(!written.contains("features"), "{written}");
    }
}

#[test]
fn an_alert() {
    let metas = [meta("n", Shape::Integer)];
    let (mut head, cells) = (head(), [Cell(3)]);
    let reasons = [Reason { feature: 0, contribution: 2.0, approximate: false }];
    let mut writer = writer(&metas, &LineOptions { model: Some("demo/1".into()), ..LineOptions::default() });
    let mut alert = |head: &Head, keys: [Option<&[&str]>; 2]| {
        let mut texts = KeyTexts::default();
        for key in keys {
            let mut parts = key.into_iter().flatten().map(|part| part.as_bytes());
            texts.begin(parts.next());
            parts.for_each(|part| texts.add(Some(part)));
        }
        let line = Line {
            decision: Decision::Review,
            score: Some(ScoreText::F64(0.75)),
            reasons: &reasons,
            ..line(head, &cells)
        };
        let mut out = Vec::new();
        writer.alert(&mut out, &line, &texts);
        serde_json::from_slice::<serde_json::Value>(&out).expect("JSON");
        String::from_utf8(out).expect("UTF-8")
    };
    assert_eq!(
        alert(&head, [Some(&["c\n\"1"]), Some(&["b|", "\""])]),
        concat!(
            r#"{"event_id":"a\"1","event_time":"2018-04-01T00:00:31.000Z","sequence":17,"decision":"review","#,
            r#""score":0.75,"model":"demo/1","reasons":[{"code":"SOME_CODE","text":"about 3, you see","#,
            r#""feature":"n","value":3,"contribution":2.0}],"marks":[],"amount":12.34,"currency":"EUR","#,
            r#""entities":{"card":"c\n\"1","pair":["b|","\""]}}"#,
            "\n"
        )
    );
    assert!(alert(&head, [None, Some(&["a", "b"])]).ends_with("\"entities\":{\"pair\":[\"a\",\"b\"]}}\n"));
    head.currency = Currency::from_code(b"JPY").expect("a currency").0;
    let text = alert(&head, [None, None]);
    assert!(text.ends_with("\"amount\":1234,\"currency\":\"JPY\",\"entities\":{}}\n"), "{text}");
}

#[test]
fn a_reject_names_what_is_mapped_and_nothing_of_the_payload() {
    let mut writer = writer(&[], &LineOptions::default());
    let mut reject = |reason, subject| {
        let mut out = Vec::new();
        let reject = Reject { reason, subject };
        writer.reject(
            &mut out,
            &RejectLine {
                partition: "in \"1\".jsonl",
                place: PlaceRef::Row { line: 12, offset: 3456 },
                sequence: 17,
                reject,
            },
        );
        let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        (String::from_utf8(out).expect("UTF-8"), value["detail"].as_str().expect("a text").to_owned())
    };
    assert_eq!(
        reject(RejectReason::InvalidJson, Subject::Record).0,
        concat!(
            r#"{"partition":"in \"1\".jsonl","position":{"line":12,"offset":3456},"sequence":17,"#,
            r#""reason":"invalid_json","detail":"the record is not valid JSON"}"#,
            "\n"
        )
    );
    // What occurs again may be an object on the way, or a member of a basket's line.
    let (plain, deep) = ("", ": a member there or on the way there");
    for (subject, called, what) in [
        (Subject::Id, "`id` at path `event_id`", plain),
        (Subject::Time, "`time` at path `event_time`", plain),
        (Subject::Amount, "`amount` at path `order.total`", deep),
        (Subject::Currency, "`currency` at path `cur\"rency`", plain),
        (Subject::Arrival, "`arrival`", plain),
        (
            Subject::Items,
            "`items` at path `items`",
            ": a member there, on the way there or in one of its lines",
        ),
        (Subject::Field(0), "field `age` at path `buyer.age`", deep),
        (Subject::Entity(0), "key of `card` at path `card_id`", plain),
        (Subject::Entity(1), "key of `pair` at paths `customer_id`, `card_id`", deep),
    ] {
        let detail = reject(RejectReason::DuplicateMember, subject).1;
        assert_eq!(detail, format!("{called}{what} occurs more than once"));
    }
    for (reason, subject, detail) in [
        (
            RejectReason::InvalidJson,
            Subject::Marked,
            "the record begins with a byte order mark and so is not valid JSON",
        ),
        (
            RejectReason::TooLarge,
            Subject::Record,
            "the record is larger than the 10 MiB that a record may have, or than a thousand times the compressed payload it was in",
        ),
        (
            RejectReason::TooDeep,
            Subject::Record,
            "the record is nested deeper than the 64 levels that a record may have",
        ),
        (
            RejectReason::AmountOutOfRange,
            Subject::Amount,
            "`amount` at path `order.total` is larger than the 10^13 minor units of its currency that an amount may be, or than \
             10^15 at the scale of windows",
        ),
    ] {
        assert_eq!(reject(reason, subject).1, detail);
    }
    for reason in RejectReason::ALL {
        assert!(reject(reason, Subject::Record).1.starts_with("the record "));
    }
}

#[test]
fn the_names_of_an_array_stand_apart() {
    let metas = [meta("a", Shape::Integer), meta("b\"", TWO), meta("c", Shape::Real)];
    let names = |features| {
        let options = LineOptions { features, as_array: true, ..LineOptions::default() };
        String::from_utf8(LinePlan::new(&metas, &options, &schema()).names_json().to_vec()).expect("UTF-8")
    };
    assert_eq!(names(Selection::All), "{\"features\":[\"a\",\"b\\\"\",\"c\"]}\n");
    assert_eq!(names(Selection::Model(vec![0, 2])), "{\"features\":[\"a\",\"c\"]}\n");
    assert_eq!(names(Selection::None), "{\"features\":[]}\n");
}

#[test]
fn a_window_may_be_like_one_of_a_family_that_is_copied_whole() {
    // Windows 0 and 1, 2 and 3, 4 and 5, of which 5 is like 3.
    let same_as = [None, Some(0), None, Some(2), None, Some(3)];
    let metas = same_as.map(|same_as| FeatureMeta { same_as, ..meta("n", Shape::Integer) });
    let mut writer = writer(&metas, &LineOptions { as_array: true, ..LineOptions::default() });
    let head = head();
    for cells in [[7, 7, 7, 7, 8, 7], [1, 2, 3, 40, 5, 40], [1, 2, 1, 2, 5, 2]] {
        let written = decision(&mut writer, &line(&head, &cells.map(Cell)));
        let wanted = format!("\"features\":{cells:?},").replace(' ', "");
        assert!(written.contains(&wanted), "{written}");
    }
}

#[test]
fn a_record_of_several_lines_becomes_one() {
    let record = b"{\r\n \"event_id\": 17,\n \"amount\": 1\n}";
    let head = Head { id: IdText { start: 16, len: 2 }, ..head() };
    let mut writer = writer(&[], &LineOptions { features: Selection::None, ..LineOptions::default() });
    let written = decision(&mut writer, &Line { record, ..line(&head, &[]) });
    assert!(written.starts_with("{\"event_id\":\"17\","), "{written}");
    assert!(written.ends_with(",\"event\":{   \"event_id\": 17,  \"amount\": 1 }}\n"), "{written}");
}

/// One number as a person would write it.
fn plainly(cell: Cell, shape: Shape) -> String {
    if cell.is_missing(shape) {
        return "null".into();
    }
    match shape {
        Shape::Integer => cell.0.to_string(),
        Shape::Real => zmij::Buffer::new().format(cell.as_real()).to_owned(),
        Shape::Decimal { digits } => {
            let digits = digits as usize;
            let plain = format!("{:0width$}", cell.0.unsigned_abs(), width = digits + 1);
            let (whole, fraction) = plain.split_at(plain.len() - digits);
            let point = if digits == 0 { "" } else { "." };
            format!("{}{whole}{point}{fraction}", if cell.0 < 0 { "-" } else { "" })
        }
    }
}

fn a_cell(shape: Shape) -> BoxedStrategy<Cell> {
    match shape {
        Shape::Real => prop_oneof![
            (0i16..4).prop_map(|value| Cell::real(f32::from(value) / 3.0)),
            any::<f32>().prop_filter("no number in JSON", |value| !value.is_infinite()).prop_map(Cell::real),
        ]
        .boxed(),
        Shape::Integer | Shape::Decimal { .. } => prop_oneof![
            4 => (0i64..4).prop_map(Cell),
            1 => any::<i64>().prop_map(Cell),
            1 => (0i64..10_000_000_000).prop_map(Cell),
            1 => Just(Cell::MISSING),
        ]
        .boxed(),
    }
}

/// Windows of some aggregates over some entities, with features that stand alone between; few values, so that
/// runs are often equal.
fn a_table() -> impl Strategy<Value = Vec<(Shape, Option<u16>, Vec<Cell>)>> {
    let shapes =
        [Shape::Integer, TWO, Shape::Real, Shape::Decimal { digits: 0 }, Shape::Decimal { digits: 6 }];
    let shape = prop::sample::select(shapes.to_vec());
    let family = (prop::collection::vec(shape.clone(), 1..5), 1usize..5, prop::collection::vec(shape, 0..3));
    (prop::collection::vec(family, 1..4), any::<bool>()).prop_flat_map(|(families, alike)| {
        let mut columns: Vec<(Shape, Option<u16>)> = Vec::new();
        for (number, (aggregates, windows, alone)) in families.iter().enumerate() {
            let aggregates = if alike { &families[0].0 } else { aggregates };
            for window in 0..*windows {
                for &shape in aggregates {
                    let same = (window > 0).then(|| (columns.len() - aggregates.len()) as u16);
                    columns.push((shape, same));
                }
            }
            if number % 2 == 1 {
                columns.extend(alone.iter().map(|&shape| (shape, None)));
            }
        }
        columns
            .into_iter()
            .map(|(shape, same)| (Just(shape), Just(same), prop::collection::vec(a_cell(shape), 4)))
            .collect::<Vec<_>>()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_features_are_written_as_one_by_one(table in a_table(), as_array: bool, pick in prop::option::of(any::<u64>()), equal: u64) {
        let names: Vec<String> = (0..table.len()).map(|index| format!("entity.feature_{index}")).collect();
        let metas: Vec<FeatureMeta<'_>> = table
            .iter()
            .zip(&names)
            .map(|(&(shape, same_as, _), name)| FeatureMeta { same_as, ..meta(name, shape) })
            .collect();
        let chosen: Vec<u16> = (0..table.len() as u16)
            .filter(|index| pick.is_none_or(|pick| pick >> (index % 64) & 1 == 1))
            .collect();
        let features = if pick.is_none() { Selection::All } else { Selection::Model(chosen.clone()) };
        let mut writer = writer(&metas, &LineOptions { features, as_array, ..LineOptions::default() });
        let head = head();
        // The same writer for several lines: nothing of one shows in the next.
        for round in 0..4 {
            let mut cells: Vec<Cell> = Vec::new();
            for (index, (_, same, values)) in table.iter().enumerate() {
                let twin = same.filter(|_| equal >> ((index / 3 + round) % 64) & 1 == 1);
                cells.push(twin.map_or(values[round], |twin| cells[usize::from(twin)]));
            }
            let mut wanted = String::from(if as_array { "\"features\":[" } else { "\"features\":{" });
            for (at, index) in chosen.iter().map(|&index| usize::from(index)).enumerate() {
                let comma = if at == 0 { "" } else { "," };
                let name = if as_array { String::new() } else { format!("\"{}\":", names[index]) };
                write!(wanted, "{comma}{name}{}", plainly(cells[index], table[index].0)).expect("a string");
            }
            wanted.push_str(if as_array { "],\"event\"" } else { "},\"event\"" });
            let written = decision(&mut writer, &line(&head, &cells));
            prop_assert!(written.contains(&wanted), "{}\n{}", written, wanted);
            let value: serde_json::Value = serde_json::from_str(&written).expect("JSON");
            for (at, &index) in chosen.iter().enumerate() {
                let (cell, shape) = (cells[usize::from(index)], table[usize::from(index)].0);
                let value = if as_array { &value["features"][at] } else { &value["features"][&names[usize::from(index)]] };
                if cell.is_missing(shape) {
                    prop_assert!(value.is_null());
                } else {
                    match shape {
                        Shape::Integer => prop_assert_eq!(value.as_i64(), Some(cell.0)),
                        Shape::Real => {
                            let read = value.as_f64().expect("a number") as f32;
                            prop_assert_eq!(read.to_bits(), cell.as_real().to_bits());
                        }
                        Shape::Decimal { .. } => prop_assert!(value.is_number()),
                    }
                }
            }
        }
    }
}
