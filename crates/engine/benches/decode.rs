//! Decoding a record: over the layout guess, and over the general parser, on records like those of benches/workload.
//!
//! `cargo bench -p cartguard-engine --bench decode`: nanoseconds a batch of 1,000 records; `elem/s` is records a second.

use cartguard_engine::currency::Currency;
use cartguard_engine::decode::Decoder;
use cartguard_engine::event::{EventMut, Head};
use cartguard_engine::record::{Form, NO_ARRIVAL};
use cartguard_engine::schema::{
    CurrencySource, Entity, Field, FieldKind, Items, Path, Schema, TimeField, TimeForm, WindowScale,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;

#[path = "../src/decode/tests/sample.rs"]
mod sample;

const RECORDS: usize = 1_000;

/// What benches/workload maps: an id, four keys, two categories and the basket.
fn schema() -> Schema {
    let path = |dotted: &str| Path(dotted.split('.').map(str::to_owned).collect());
    let field = |name: &str| Field { name: name.to_owned(), path: path(name), kind: FieldKind::Category };
    Schema {
        id: path("event_id"),
        time: TimeField { path: path("event_time"), form: TimeForm::Text },
        amount: path("amount"),
        currency: CurrencySource::Path { path: path("currency"), default: Currency::from_code(b"EUR") },
        arrival: None,
        items: Some(Items {
            path: path("items"),
            sku: "sku".to_owned(),
            quantity: "qty".to_owned(),
            price: "price".to_owned(),
        }),
        fields: vec![field("shipping.country"), field("billing.country")],
        entities: ["customer_id", "card_id", "device_id", "ip"]
            .map(|name| Entity { name: name.to_owned(), key: vec![path(name)] })
            .into(),
        scale: WindowScale::Common,
        skew_ms: 600_000,
        hash_seed: 1,
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
