//! Decoding allocates nothing once its buffers have grown: counted, over every parser and over rejects.

mod counting;

use cartguard_engine::decode::Decoder;
use cartguard_engine::event::{EventMut, Head};
use cartguard_engine::record::{Form, NO_ARRIVAL};
use cartguard_engine::schema::samples::{checkout, entity, field};
use cartguard_engine::schema::{FieldKind, Schema};
use counting::COUNT;
use std::sync::Arc;

#[path = "../src/decode/tests/sample.rs"]
mod sample;

fn schema() -> Schema {
    Schema {
        fields: vec![
            field("shipping.country", FieldKind::Category),
            field("discount", FieldKind::Number),
            field("channel", FieldKind::Category),
        ],
        entities: ["customer_id", "card_id", "device_id", "ip"].map(|name| entity(name, &[name])).into(),
        ..checkout()
    }
}

/// The records as they are, for the general parser, with escapes, for the strict parser, and rejects.
fn variants(records: &[Vec<u8>]) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let map = |change: &dyn Fn(&str) -> String| {
        let change = |record: &Vec<u8>| change(std::str::from_utf8(record).expect("ascii")).into_bytes();
        records.iter().map(change).collect::<Vec<_>>()
    };
    vec![
        ("guess", records.to_vec()),
        ("general", map(&|text| format!("\n{text}"))),
        (
            "escapes",
            map(&|text| text.replace("customer_id", "customer\\u005fid").replace("\"DE\"", "\"\\u0044E\"")),
        ),
        ("strict", map(&|text| text.replacen('{', "{\"huge\":1e400,", 1))),
        ("non-ASCII", map(&|text| text.replace("\"web\"", "\"w\u{e9}b\""))),
        ("rejects", map(&|text| text.replace("}]", "}],\"ip\":1"))),
        ("broken", map(&|text| text[..text.len() - 1].to_owned())),
    ]
}

#[test]
fn decoding_allocates_nothing() {
    let schema = Arc::new(schema());
    let mut decoder = Decoder::new(Arc::clone(&schema));
    let (mut head, mut keys, mut slots) = (Head::default(), [0; 4], vec![0; schema.slots()]);
    let mut event = EventMut { head: &mut head, keys: &mut keys, slots: &mut slots };
    let variants = variants(&sample::records(500, 2));
    let mut run = |records: &[Vec<u8>]| {
        let mut accepted = 0;
        for record in records {
            accepted += usize::from(decoder.decode(record, Form::Json, NO_ARRIVAL, &mut event).is_ok());
        }
        accepted
    };
    // Layouts are learned in the first rounds, and the longest record meets the second judge.
    for _ in 0..4 {
        for (_, records) in &variants {
            run(records);
        }
    }
    for (name, records) in &variants {
        let before = COUNT.get();
        let accepted = run(records);
        assert_eq!(COUNT.get() - before, 0, "{name}: {accepted} of {} accepted", records.len());
        let is_reject = matches!(*name, "rejects" | "broken");
        assert_eq!(accepted, if is_reject { 0 } else { records.len() }, "{name}");
    }
    // The counter counts.
    let before = COUNT.get();
    drop(std::hint::black_box(vec![1_u8]));
    assert_eq!(COUNT.get() - before, 1);
}
