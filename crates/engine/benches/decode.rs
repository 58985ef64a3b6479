//! Decoding a record: over the layout guess, and over the general parser, on records like those of benches/workload.
//!
//! `cargo bench -p cartguard-engine --bench decode`: nanoseconds a batch of 1,000 records; `elem/s` is records a second.

use cartguard_engine::decode::Decoder;
use cartguard_engine::event::{EventMut, Head};
use cartguard_engine::record::{Form, NO_ARRIVAL};
use cartguard_engine::schema::samples::{checkout, entity, field};
use cartguard_engine::schema::{FieldKind, Schema};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;

#[path = "../src/decode/tests/sample.rs"]
mod sample;

const RECORDS: usize = 1_000;

/// What benches/workload maps: an id, four keys, two categories and the basket.
fn schema() -> Schema {
    let named = |name: &str| field(name, FieldKind::Category);
    Schema {
        fields: vec![named("shipping.country"), named("billing.country")],
        entities: ["customer_id", "card_id", "device_id", "ip"].map(|name| entity(name, &[name])).into(),
        ..checkout()
    }
}

fn run(decoder: &mut Decoder, records: &[Vec<u8>], event: &mut EventMut<'_>) {
    for record in records {
        decoder.decode(record, Form::Json, NO_ARRIVAL, event).expect("the sample decodes");
        black_box(&event);
    }
}

fn decode(criterion: &mut Criterion) {
    let schema = Arc::new(schema());
    let (mut head, mut keys, mut slots) = (Head::default(), [0; 4], vec![0; schema.slots()]);
    let mut event = EventMut { head: &mut head, keys: &mut keys, slots: &mut slots };
    let records = sample::records(RECORDS, 1);
    // White space before the first brace is no layout that is ever guessed, and costs the general parser nothing.
    let spaced: Vec<Vec<u8>> = records.iter().map(|record| [b"\n", &record[..]].concat()).collect();
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(RECORDS as u64));
    for (name, records) in [("guess", &records), ("general", &spaced)] {
        let mut decoder = Decoder::new(Arc::clone(&schema));
        group.bench_function(name, |bencher| {
            bencher.iter(|| run(&mut decoder, records, &mut event));
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
