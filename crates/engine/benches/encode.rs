//! What a line costs, on values shaped like the workload's: four entities, five nested windows, 90 features.
//!
//! `cargo bench -p cartguard-engine --bench encode`

use cartguard_engine::decide::Decision;
use cartguard_engine::encode::{
    FeatureMeta, Line, LineOptions, LinePlan, LineWriter, Reason, ScoreText, Selection,
};
use cartguard_engine::event::{EventRef, Head, IdText, KeyTexts};
use cartguard_engine::features::cell::{Cell, Shape};
use cartguard_engine::features::rounding::{decimal_to_f32, ratio_to_f32, std_to_f32, zscore_to_f32};
use cartguard_engine::features::sentence::Sentences;
use cartguard_engine::schema::samples::{entity, least};
use cartguard_engine::schema::{ITEM_STATS, Schema};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::collections::HashSet;
use std::hint::black_box;
use std::sync::Arc;

const LINES: usize = 512;
const WINDOWS: [(&str, u64); 5] = [("1m", 60), ("10m", 600), ("1h", 3_600), ("24h", 86_400), ("7d", 604_800)];
const ENTITIES: [&str; 4] = ["customer", "card", "device", "ip"];

/// A small generator (splitmix64): benches need no better.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Cents, most of them below 200.
    fn amount(&mut self) -> i64 {
        let size = [2_000, 8_000, 20_000, 150_000][self.below(4) as usize];
        100 + self.below(size) as i64
    }
}

struct Feature {
    name: String,
    shape: Shape,
    same_as: Option<u16>,
}

/// The workload's features, in its order.
fn features() -> Vec<Feature> {
    let money = Shape::Decimal { digits: 2 };
    let mut features = Vec::new();
    for entity in ENTITIES {
        for (window, (name, _)) in WINDOWS.iter().enumerate() {
            let kinds = [
                ("count", Shape::Integer),
                ("sum_amount", money),
                ("mean_amount", Shape::Real),
                ("max_amount", money),
            ];
            for (kind, shape) in kinds {
                let same_as = (window > 0).then(|| features.len() as u16 - 4);
                features.push(Feature { name: format!("{entity}.{kind}_{name}"), shape, same_as });
            }
        }
    }
    for (name, shape) in [
        ("customer.distinct_card_24h", Shape::Integer),
        ("customer.distinct_device_24h", Shape::Integer),
        ("customer.distinct_ip_24h", Shape::Integer),
        ("customer.seconds_since_last_7d", Shape::Decimal { digits: 3 }),
        ("customer.zscore_amount_7d", Shape::Real),
        ("amount", money),
        ("item_lines", Shape::Real),
        ("item_quantity", Shape::Real),
        ("country_mismatch", Shape::Real),
        ("hour", Shape::Real),
    ] {
        features.push(Feature { name: name.into(), shape, same_as: None });
    }
    features
}

/// The cells of one event. A customer has a few events in seven days (the workload's median is 5 to 6), most of
/// them with the one card and device; others come from the same address.
fn cells(random: &mut Random) -> Vec<Cell> {
    let mut cells = Vec::new();
    let amount = random.amount();
    let many = [3, 8, 14, 60][random.below(4) as usize];
    let customer: Vec<(u64, i64)> =
        (0..random.below(many)).map(|_| (random.below(604_800), random.amount())).collect();
    for entity in 0..ENTITIES.len() {
        // Customers with one card (device, address) all the time; with several.
        let (mut past, others) = match (entity, random.below(10)) {
            (0, _) | (_, 0..6) => (customer.clone(), 0),
            _ => (customer.iter().filter(|_| random.below(3) > 0).copied().collect(), entity as u64),
        };
        past.extend((0..random.below(1 + 3 * others)).map(|_| (random.below(604_800), random.amount())));
        past.push((0, amount));
        for (_, window) in WINDOWS {
            let inside = past.iter().filter(|(age, _)| *age < window).map(|(_, amount)| *amount);
            let (count, sum) = (inside.clone().count() as i64, inside.clone().sum::<i64>());
            cells.push(Cell(count));
            cells.push(Cell(sum));
            cells.push(Cell::real(ratio_to_f32(sum.into(), i128::from(count) * 100)));
            cells.push(Cell(inside.max().expect("the event itself")));
        }
    }
    cells.extend((0..3).map(|_| Cell(1 + random.below(3) as i64)));
    cells.push(if random.below(8) == 0 { Cell::MISSING } else { Cell(random.below(604_800_000) as i64) });
    cells.push(Cell::real(random.below(60_000) as f32 / 17_001.0 - 1.5));
    cells.push(Cell(amount));
    for bound in [4, 6, 2, 24] {
        cells.push(Cell::real(random.below(bound) as f32));
    }
    cells
}

fn schema() -> Schema {
    assert_eq!(ITEM_STATS, 5);
    let entities = ENTITIES.iter().map(|name| entity(name, &[&format!("{name}_id")])).collect();
    Schema { entities, ..least() }
}

fn plan(features: &[Feature], options: &LineOptions) -> Arc<LinePlan> {
    let sentences = Sentences {
        value: "this customer's figure is {value}, which is unusual".into(),
        ..Sentences::default()
    };
    let metas: Vec<FeatureMeta<'_>> = features
        .iter()
        .map(|feature| FeatureMeta {
            name: &feature.name,
            shape: feature.shape,
            same_as: feature.same_as,
            code: "CODE",
            reason: &sentences,
            unit: "",
            entity: None,
        })
        .collect();
    Arc::new(LinePlan::new(&metas, options, &schema()))
}

/// A record of the workload's size.
fn record(random: &mut Random) -> Vec<u8> {
    let mut number = || random.next();
    format!(
        r#"{{"event_id":"{:016x}-{:016x}","event_time":"2018-04-01T00:00:31.000Z","customer_id":"c{:08x}","card_id":"k{:016x}","device_id":"d{:016x}","ip":"10.20.30.40","email_hash":"{:016x}{:016x}","amount":"12.34","currency":"EUR","seller_id":"s123","items":[{{"sku":"sku-1234","qty":1,"price":"7.34"}},{{"sku":"sku-99","qty":2,"price":"2.50"}}],"shipping":{{"country":"DE","postal":"10115"}},"billing":{{"country":"DE","postal":"10115"}},"channel":"web"}}"#,
        number(), number(), number() >> 32, number(), number(), number(), number()
    )
    .into_bytes()
}

fn lines(criterion: &mut Criterion) {
    let mut random = Random(7);
    let features = features();
    let cells: Vec<Vec<Cell>> = (0..LINES).map(|_| cells(&mut random)).collect();
    let records: Vec<Vec<u8>> = (0..LINES).map(|_| record(&mut random)).collect();
    let heads: Vec<Head> = (0..LINES as i64)
        .map(|index| Head {
            shown_ms: 1_522_540_831_000 + index * 37,
            amount_minor: 1234,
            id: IdText { start: 13, len: 33 },
            ..Head::default()
        })
        .collect();
    let distinct = |cells: &Vec<Cell>| {
        let pairs = features.iter().zip(cells);
        pairs.map(|(feature, cell)| (feature.shape, cell.0)).collect::<HashSet<_>>().len()
    };
    let all: usize = cells.iter().map(distinct).sum();
    println!("{} distinct values a line, records of {} bytes", all / LINES, records[0].len());

    let mut group = criterion.benchmark_group("line");
    group.throughput(Throughput::Elements(LINES as u64));
    let base = LineOptions { as_array: true, model: Some("demo/1".into()), ..LineOptions::default() };
    for (name, options) in [
        ("array", base.clone()),
        ("object", LineOptions { as_array: false, ..base.clone() }),
        ("array without the event", LineOptions { event: false, ..base.clone() }),
        ("decision only", LineOptions { features: Selection::None, event: false, ..base.clone() }),
    ] {
        let mut writer = LineWriter::new(plan(&features, &options));
        let mut out = Vec::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                for index in 0..LINES {
                    let line = Line {
                        record: &records[index],
                        is_one_line: true,
                        event: EventRef { head: &heads[index], keys: &[], slots: &[] },
                        sequence: 1_000_000 + index as u64,
                        id: None,
                        decision: Decision::Approve,
                        score: Some(ScoreText::F32((index as f32).sin().abs())),
                        marks: 0,
                        cells: &cells[index],
                        reasons: &[],
                    };
                    writer.decision(&mut out, black_box(&line));
                }
                out.len()
            });
        });
    }

    let mut writer = LineWriter::new(plan(&features, &base));
    let mut out = Vec::new();
    let mut keys = KeyTexts::default();
    (0..4).for_each(|index| keys.begin(Some(format!("key-{index}").as_bytes())));
    let reasons: Vec<Reason> = [4u16, 9, 14, 84, 85]
        .iter()
        .map(|&feature| Reason { feature, contribution: 0.1 + f64::from(feature), approximate: false })
        .collect();
    group.bench_function("alert with 5 reasons", |bencher| {
        bencher.iter(|| {
            out.clear();
            for index in 0..LINES {
                let line = Line {
                    record: &records[index],
                    is_one_line: true,
                    event: EventRef { head: &heads[index], keys: &[], slots: &[] },
                    sequence: index as u64,
                    id: None,
                    decision: Decision::Decline,
                    score: Some(ScoreText::F32(0.98)),
                    marks: 0,
                    cells: &cells[index],
                    reasons: &reasons,
                };
                writer.alert(&mut out, black_box(&line), &keys);
            }
            out.len()
        });
    });
    group.finish();
}

/// A value, and n, Σx and Σx² of others.
type Sums = (i64, u64, i128, u128);

fn rounding(criterion: &mut Criterion) {
    let mut random = Random(11);
    let sums: Vec<Sums> = (0..LINES)
        .map(|_| {
            let values: Vec<i64> = (0..=random.below(30)).map(|_| random.amount()).collect();
            let sum = values.iter().map(|&value| i128::from(value)).sum();
            let squares = values.iter().map(|&value| (value as u128).pow(2)).sum();
            (random.amount(), values.len() as u64, sum, squares)
        })
        .collect();
    let mut group = criterion.benchmark_group("rounding");
    group.throughput(Throughput::Elements(LINES as u64));
    let mut out = vec![0f32; LINES];
    let mut each = |name: &str, function: fn(&Sums) -> f32| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for (to, from) in out.iter_mut().zip(black_box(&sums)) {
                    *to = function(from);
                }
            });
        });
    };
    each("nothing", |&(x, ..)| x as f32);
    each("decimal", |&(x, ..)| decimal_to_f32(x, 2));
    each("ratio", |&(_, n, sum, _)| ratio_to_f32(sum, i128::from(n) * 100));
    each("std", |&(_, n, sum, squares)| std_to_f32(n, sum, squares, 2));
    each("zscore", |&(x, n, sum, squares)| zscore_to_f32(x, n, sum, squares));
    group.finish();
}

criterion_group!(benches, lines, rounding);
criterion_main!(benches);
