//! Rows that are handed out for training are those of the decisions' lines, in their order, for any number of workers.

mod twins;

use cartguard_engine::batch::rows::{RowPlan, Rows, Share};
use cartguard_engine::batch::{Engine, Outputs};
use cartguard_engine::record::Records;
use cartguard_oracle::histories::{Case, Random};
use serde_json::Value;
use std::sync::Arc;
use twins::Twins;

/// A row as bits, with what stands beside it.
#[derive(Debug, PartialEq)]
struct Taken {
    id: String,
    time_ms: i64,
    amount_minor: i64,
    values: Vec<u32>,
    keys: Vec<u64>,
}

fn rows(engine: &mut Engine, records: &[Vec<u8>], seed: u64) -> (Vec<Taken>, Vec<u8>) {
    let mut random = Random::new(seed);
    let (mut taken, mut lines, mut from) = (Vec::new(), Vec::new(), 0);
    let mut outputs = Outputs::default();
    while from < records.len() {
        let to = (from + 1 + random.below(300) as usize).min(records.len());
        let mut batch = Records::default();
        records[from..to].iter().for_each(|record| batch.push_json(record));
        engine.process(&mut batch, &mut outputs);
        lines.extend(outputs.decisions().flatten());
        taken.extend(outputs.rows().map(|row| {
            let event = &row.head.event;
            let id = &batch.bytes_of(row.head.record)[event.id.start as usize..][..event.id.len as usize];
            Taken {
                id: String::from_utf8_lossy(id).into_owned(),
                time_ms: event.time_ms,
                amount_minor: event.amount_minor,
                values: row.values.iter().map(|value| value.to_bits()).collect(),
                keys: row.keys.to_vec(),
            }
        }));
        from = to;
    }
    (taken, lines)
}

fn bits(value: &Value) -> u32 {
    if value.is_null() {
        f32::NAN.to_bits()
    } else {
        value.to_string().parse::<f32>().expect("a number").to_bits()
    }
}

#[test]
fn a_row_is_what_the_decision_says() {
    let mut all_rows = 0;
    for seed in 0..20 {
        let twins = Twins::new(Case::new(seed, 400));
        let records = twins.records();
        let mut engine = twins.engine(1);
        let width = twins.features();
        let all: Vec<usize> = (0..width).collect();
        engine.hand_out_rows(&all);
        let (taken, lines) = rows(&mut engine, &records, seed);
        let lines: Vec<Value> = lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("JSON"))
            .collect();
        assert_eq!(taken.len(), lines.len(), "seed {seed}: a row for each decision");
        all_rows += taken.len();
        for (row, line) in taken.iter().zip(&lines) {
            assert_eq!(row.id, line["event_id"].as_str().expect("an id"), "seed {seed}");
            let wanted: Vec<u32> = line["features"].as_array().expect("an array").iter().map(bits).collect();
            assert_eq!(row.values, wanted, "seed {seed}: {line}");
            assert_eq!(row.keys.len(), twins.case.entities, "seed {seed}");
        }
        // The same from more workers and other batches; of some columns, in another order.
        let mut engine = twins.engine(3);
        let some: Vec<usize> = (0..width).rev().step_by(2).collect();
        engine.hand_out_rows(&some);
        let (other, _) = rows(&mut engine, &records, seed + 1_000);
        assert_eq!(other.len(), taken.len(), "seed {seed}");
        for (other, row) in other.iter().zip(&taken) {
            let wanted: Vec<u32> = some.iter().map(|at| row.values[*at]).collect();
            assert_eq!((&other.values, &other.id, &other.keys), (&wanted, &row.id, &row.keys), "seed {seed}");
        }
    }
    assert!(all_rows > 1_000, "{all_rows} rows");
}

#[test]
fn without_a_wish_for_rows_there_are_none() {
    let twins = Twins::new(Case::new(1, 100));
    let (taken, lines) = rows(&mut twins.engine(2), &twins.records(), 1);
    assert!(taken.is_empty() && !lines.is_empty());
}

/// Ids and values of the rows that are taken out of each batch's outputs, and the lines that go on without them.
fn taken_out(engine: &mut Engine, records: &[Vec<u8>], seed: u64) -> (Vec<(u64, Vec<u32>)>, Vec<u8>) {
    let mut random = Random::new(seed);
    let (mut taken, mut lines, mut from) = (Vec::new(), Vec::new(), 0);
    // Of two batches in turn, as in a pipeline.
    let (mut outputs, mut other, mut rows) = (Outputs::default(), Outputs::default(), Rows::default());
    while from < records.len() {
        let to = (from + 1 + random.below(300) as usize).min(records.len());
        let mut batch = Records::default();
        records[from..to].iter().for_each(|record| batch.push_json(record));
        engine.process(&mut batch, &mut outputs);
        outputs.take_rows(&mut rows);
        assert_eq!(outputs.rows().count(), 0);
        lines.extend(outputs.decisions().flatten());
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
        taken.extend(rows.iter().map(|row| (row.head.event.id_hash, bits(row.values))));
        std::mem::swap(&mut outputs, &mut other);
        from = to;
    }
    (taken, lines)
}

#[test]
fn rows_of_a_share_are_of_the_same_events_for_any_workers_and_change_no_line() {
    let share = Share::of(0.25).expect("a share");
    let (mut in_share, mut all_rows) = (0, 0);
    for seed in 0..10 {
        let twins = Twins::new(Case::new(seed, 400));
        let records = twins.records();
        let (without, lines) = taken_out(&mut twins.engine(1), &records, seed);
        assert!(without.is_empty());
        let width = twins.features();
        let plan = |share| {
            let all: Vec<usize> = (0..width).collect();
            Some(Arc::new(RowPlan::new(twins.engine(1).preparer().plan(), &all, share)))
        };
        for workers in [1, 3] {
            let mut engine = twins.engine(workers);
            engine.hand_out(plan(Share::ALL));
            let (all, same) = taken_out(&mut engine, &records, seed + workers as u64);
            assert!(same == lines, "seed {seed}: other lines");
            let mut engine = twins.engine(workers);
            engine.hand_out(plan(share));
            let (some, same) = taken_out(&mut engine, &records, seed);
            assert!(same == lines, "seed {seed}: other lines");
            let wanted: Vec<_> = all.iter().filter(|(hash, _)| share.has(*hash)).cloned().collect();
            assert_eq!(some, wanted, "seed {seed}");
            (in_share, all_rows) = (in_share + some.len(), all_rows + all.len());
        }
    }
    let found = in_share as f64 / all_rows as f64;
    assert!((0.2..0.3).contains(&found), "{found}");
}

#[test]
fn a_share_is_a_number_above_0_up_to_1() {
    for wrong in [0.0, -0.5, 1.0001, f64::NAN, f64::INFINITY] {
        assert_eq!(Share::of(wrong), None, "{wrong}");
    }
    assert_eq!(Share::of(1.0), Some(Share::ALL));
    assert!(Share::of(0.1) < Share::of(0.2));
}
