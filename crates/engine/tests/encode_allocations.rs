//! Writing lines allocates nothing once the buffers have grown.

mod counting;

use cartguard_engine::currency::Currency;
use cartguard_engine::decide::Decision;
use cartguard_engine::encode::{
    FeatureMeta, Line, LineOptions, LinePlan, LineWriter, Reason, RejectLine, ScoreText,
};
use cartguard_engine::event::{EventRef, Head, IdText, KeyTexts, marks};
use cartguard_engine::features::cell::{Cell, Shape};
use cartguard_engine::features::sentence::Sentences;
use cartguard_engine::record::PlaceRef;
use cartguard_engine::reject::{Reason as RejectReason, Reject};
use cartguard_engine::schema::Schema;
use cartguard_engine::schema::samples::{checkout, entity};
use counting::COUNT;
use std::sync::Arc;

#[test]
fn a_grown_writer_allocates_nothing() {
    let schema = Schema { entities: vec![entity("card", &["card_id"])], ..checkout() };
    let shapes = [Shape::Integer, Shape::Decimal { digits: 2 }, Shape::Real];
    let names: Vec<String> = (0..90).map(|index| format!("feature_{index}")).collect();
    let sentences = Sentences {
        value: "about {value} {one|many} of {amount}".into(),
        missing: "none".into(),
        keyless: Some("no card".into()),
        ..Sentences::default()
    };
    let metas: Vec<FeatureMeta<'_>> = names
        .iter()
        .enumerate()
        .map(|(index, name)| FeatureMeta {
            name,
            shape: shapes[index % 3],
            same_as: (index % 15 >= 3).then(|| index as u16 - 3),
            code: "CODE",
            reason: &sentences,
            unit: ["seconds", "share", "EUR", ""][index % 4],
            entity: Some(0),
        })
        .collect();
    let writer = |as_array| {
        let options = LineOptions { as_array, model: Some("demo/1".into()), ..LineOptions::default() };
        LineWriter::new(Arc::new(LinePlan::new(&metas, &options, &schema)))
    };
    let mut writers = [writer(true), writer(false)];
    let mut keys = KeyTexts::default();
    keys.begin(Some(b"key \"1\""));
    let reasons: Vec<Reason> =
        (0..5).map(|feature| Reason { feature, contribution: 0.1, approximate: true }).collect();
    let reject = RejectLine {
        partition: "a.jsonl",
        place: PlaceRef::Row { line: 1, offset: 0 },
        sequence: 0,
        reject: Reject::record(RejectReason::InvalidJson),
    };

    let mut out = Vec::with_capacity(1 << 16);
    let mut cells = vec![Cell::MISSING; 90];
    let mut count = |round: i64| {
        for (index, cell) in cells.iter_mut().enumerate() {
            let value = (round * 7_919 + index as i64 / 6) * 104_729 % 1_000_003;
            *cell = match (index % 3, round % 5) {
                (2, 0) => Cell::real(f32::NAN),
                (2, _) => Cell::real(value as f32 / 7.0),
                (_, 1) => Cell::MISSING,
                (_, 2) => Cell(value * 1_000_000_007),
                _ => Cell(value),
            };
        }
        let head = Head {
            shown_ms: 1_522_540_831_000 + round * 40_000_000,
            amount_minor: round * 1_000_001,
            id: IdText { start: 13, len: 2 },
            currency: Currency::default().0,
            ..Head::default()
        };
        let line = Line {
            record: b"{\"event_id\":\"ab\",\r\n\"x\":1}",
            is_one_line: false,
            event: EventRef { head: &head, keys: &[], slots: &[] },
            sequence: round as u64,
            id: None,
            decision: Decision::Review,
            score: Some(ScoreText::F64(0.1)),
            marks: marks::LATE | marks::DEGRADED,
            cells: &cells,
            reasons: &reasons,
        };
        out.clear();
        let before = COUNT.get();
        for writer in &mut writers {
            writer.decision(&mut out, &line);
            writer.alert(&mut out, &line, &keys);
            writer.reject(&mut out, &reject);
        }
        COUNT.get() - before
    };
    // The buffers grow in the first rounds.
    (0..200).map(&mut count).for_each(|_| {});
    assert_eq!((0..200).map(&mut count).sum::<u64>(), 0);
    // The counter counts.
    let before = COUNT.get();
    drop(std::hint::black_box(vec![1_u8]));
    assert_eq!(COUNT.get() - before, 1);
}
