//! Another model from one batch to the next: what came before is the old one's, what comes after the new one's, and the state knows of
//! neither.

mod twins;

use cartguard_engine::batch::{Engine, Outputs, Scorer};
use cartguard_engine::decide::Thresholds;
use cartguard_engine::record::{Location, Records};
use cartguard_forest::{Format, Model};
use cartguard_oracle::histories::{Case, Random};
use std::sync::Arc;
use twins::Twins;

/// Holds for fraud what has this amount.
fn scorer(name: &str, amount: f64) -> Arc<Scorer> {
    let text = format!(
        r#"{{"format":"cartguard.logistic","version":1,"features":["f0"],"weights":[1.0],"intercept":-{amount}}}"#
    );
    Arc::new(Scorer {
        name: name.to_owned(),
        model: Arc::new(Model::from_bytes(Format::LogisticJson, text.as_bytes()).expect("a model")),
        features: vec![0],
        thresholds: Thresholds { review_at: 0.5, decline_at: 0.9 },
    })
}

/// One that was in force before comes back as it went, and workers that slept through a switch follow.
#[test]
fn a_model_that_was_put_aside_decides_again() {
    let twins = Twins::new(Case::new(3, 300));
    let records = twins.records();
    let batches: Vec<_> = records.chunks(60).map(<[_]>::to_vec).collect();
    let both = [scorer("test/1", 1.0), scorer("test/2", 3.0)];
    let mut engine = twins.engine(3);
    let preparer = engine.preparer();
    let mut aside = Vec::from(both.each_ref().map(|one| preparer.prepare(Some(Arc::clone(one)))));
    let models: Vec<_> = (0..batches.len()).map(|at| Arc::clone(&both[at % 2])).collect();
    let wanted = lines(&mut twins.engine(1), &batches, &models);
    let first = engine.set_prepared(aside.remove(0));
    drop(first);
    let (mut batch, mut outputs, mut found) = (Records::default(), Outputs::default(), Vec::new());
    for records in &batches {
        batch.clear();
        for record in records {
            batch.push_json(record);
            batch.list.last_mut().expect("just pushed").place = Location::Row { line: 1, offset: 0 };
        }
        engine.process(&mut batch, &mut outputs);
        let text: Vec<u8> = outputs.decisions().flatten().copied().collect();
        found.push(String::from_utf8(text).expect("JSON").replace(",\"approximate\":true", ""));
        let other = aside.pop().expect("one of two is aside");
        aside.push(engine.set_prepared(other));
    }
    assert_eq!(found, wanted);
}

/// The decision lines of records in batches, with the model of each batch.
fn lines(engine: &mut Engine, batches: &[Vec<Vec<u8>>], models: &[Arc<Scorer>]) -> Vec<String> {
    let (mut batch, mut outputs, mut lines) = (Records::default(), Outputs::default(), Vec::new());
    for (records, model) in batches.iter().zip(models) {
        if engine.scorer().is_none_or(|now| now.name != model.name) {
            engine.set_scorer(Some(Arc::clone(model)));
        }
        batch.clear();
        for record in records {
            batch.push_json(record);
            batch.list.last_mut().expect("just pushed").place = Location::Row { line: 1, offset: 0 };
        }
        engine.process(&mut batch, &mut outputs);
        let text: Vec<u8> = outputs.decisions().flatten().copied().collect();
        // How many alerts came before decides which reasons are the cheap kind, and that depends on the models before.
        lines.push(String::from_utf8(text).expect("JSON").replace(",\"approximate\":true", ""));
    }
    lines
}

#[test]
fn a_batch_is_decided_by_one_model_and_the_state_knows_of_none() {
    for seed in 0..20 {
        let twins = Twins::new(Case::new(seed, 300));
        let mut random = Random::new(seed);
        let records = twins.records();
        let mut batches = Vec::new();
        let mut rest = &records[..];
        while !rest.is_empty() {
            // Small ones run on the calling thread, large ones on all.
            let (batch, behind) = rest.split_at(rest.len().min(1 + random.below(90) as usize));
            batches.push(batch.to_vec());
            rest = behind;
        }
        let both = [scorer("test/1", 1.0), scorer("test/2", 3.0)];
        let alone = both
            .each_ref()
            .map(|model| lines(&mut twins.engine(1), &batches, &vec![Arc::clone(model); batches.len()]));
        let choices: Vec<usize> = batches.iter().map(|_| random.below(2) as usize).collect();
        let models: Vec<_> = choices.iter().map(|&at| Arc::clone(&both[at])).collect();
        for workers in [1, 3] {
            let switched = lines(&mut twins.engine(workers), &batches, &models);
            for ((have, &at), batch) in switched.iter().zip(&choices).zip(0..) {
                assert_eq!(*have, alone[at][batch], "seed {seed}, batch {batch}, model {}", both[at].name);
            }
        }
    }
}
