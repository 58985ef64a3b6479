//! Models that change again and again under full load, in a pipeline of threads as `run` has it.

use super::*;
use crate::config::{Given, Synthetic, World, load};
use crate::engine;
use crate::shadow::{self, Shadow, WhenFull};
use crate::synthetic::SyntheticSource;
use cartguard_engine::batch::Scorer;
use cartguard_engine::batch::rows::Share;
use cartguard_engine::decide::Thresholds;
use cartguard_forest::{Format, Model};
use std::sync::Arc;

/// Times that another model decides; a soak sets `CARTGUARD_SWAPS`, to 1000 and more.
const SWAPS: u64 = 200;

/// A model that reads a few of the features, differently each.
fn scorer(number: u64) -> Arc<Scorer> {
    let weight = (number % 7) as f64 - 3.0;
    let text = format!(
        r#"{{"format":"cartguard.logistic","version":1,"features":["a","b","c"],"weights":[0.001,{weight},0.1],"intercept":-1.0}}"#
    );
    Arc::new(Scorer {
        name: format!("shop/{number}"),
        model: Arc::new(Model::from_bytes(Format::LogisticJson, text.as_bytes()).expect("a model")),
        features: vec![0, 7 + number as usize % 5, 20],
        thresholds: Thresholds { review_at: 0.5, decline_at: 0.9 },
    })
}

/// Remembers where another model began to decide, and hashes of all lines.
#[derive(Default)]
struct Witness {
    decisions: blake3::Hasher,
    alerts: blake3::Hasher,
    events: u64,
    /// First event of each model's turn, and its name.
    turns: Vec<(u64, String)>,
}

impl Witness {
    fn see<'a>(&mut self, decisions: impl Iterator<Item = &'a [u8]>, alerts: impl Iterator<Item = &'a [u8]>) {
        for piece in alerts {
            self.alerts.update(piece);
        }
        for piece in decisions {
            self.decisions.update(piece);
            for line in piece.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let line: Line = serde_json::from_slice(line).expect("a decision");
                if self.turns.last().is_none_or(|(_, model)| *model != line.model) {
                    self.turns.push((line.sequence, line.model));
                }
                self.events += 1;
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct Line {
    sequence: u64,
    model: String,
}

impl Sink for Witness {
    fn write(&mut self, batch: &Output<'_>) -> Result<(), Trouble> {
        self.see(batch.decisions.iter().copied(), batch.alerts.iter().copied());
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        Ok(())
    }
}

fn config() -> Config {
    let loaded = load(&Given::default()).map_err(|faults| format!("{faults:?}"));
    let mut config = loaded.expect("defaults").config;
    config.output.features = cartguard_engine::batch::OutputFeatures::None;
    config.output.event = false;
    config.engine.batch_max = 256;
    config.engine.workers = 2;
    config
}

fn source() -> SyntheticSource {
    let settings = Synthetic { world: World::Shop, events: None, rate: None, seed: 7 };
    SyntheticSource::configured(&settings, Instant::now()).expect("a generator")
}

/// M8: each event is decided by one model, the next one from a batch on, challengers or not; a replay with the same models at the same events
/// gives the same bytes.
#[test]
fn swaps_under_full_load_are_the_replay_of_themselves() {
    let swaps = std::env::var("CARTGUARD_SWAPS").ok().and_then(|text| text.parse().ok()).unwrap_or(SWAPS);
    let config = config();
    let mut engine = engine::open(&config, "").expect("an engine");
    engine.set_scorer(Some(scorer(0)));
    let preparer = engine.preparer();
    let roster = |number: u64| {
        let one = [(scorer(number + 1), Share::ALL), (scorer(number + 2), Share::of(0.5).expect("a share"))];
        shadow::Roster::new(preparer.plan(), &one[..number as usize % 3], None)
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(shadow::SCORES);
    // However fast they come, the newest of them.
    let settings = shadow::Settings { path: Some(path.clone()), max_bytes: Some(4 << 20), append: false };
    let (shadow, mut hand, figures) = Shadow::start(settings, WhenFull::Skip, |_| {}).expect("a thread");
    let vitals = Vitals::default();
    let stop = AtomicBool::new(false);
    let switches = Switches::default();
    let switcher = switches.switcher();
    let mut witness = Witness::default();
    let taken = thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=swaps {
                let prepared = preparer.prepare(Some(scorer(number)));
                let model = Some(Switch { version: format!("shop/{number}"), prepared });
                switcher.put(Step { model, roster: Some(roster(number)) });
                while vitals.switches().0 < number {
                    thread::yield_now();
                }
                drop(switcher.retired());
            }
            stop.store(true, Ordering::Relaxed);
        });
        let around =
            Around { stop: &stop, vitals: &vitals, switches: Some(&switches), hand: Some(&mut hand) };
        let input = Input::Once(Box::new(source()));
        let settings = Settings::of(&config, None);
        let finished = run(input, engine, &mut witness, settings, around, |_| {});
        finished.expect("nothing fails").engine.next_sequence()
    });
    drop(hand);
    shadow.finish().expect("room");
    let told = figures.to_json(0);
    println!(
        "{} events, {} turns, longest pause {:?}, skipped in shadow {}",
        witness.events,
        witness.turns.len(),
        vitals.switches().1,
        told["skipped"]
    );
    assert_eq!(vitals.switches().0, swaps);
    assert!(witness.turns.len() as u64 > swaps / 2, "{} turns", witness.turns.len());
    assert!(told["models"].as_array().is_some_and(|models| !models.is_empty()));

    // Who decides and who scores beside it change before the same batch.
    let (mut scored, mut turns) = (0, witness.turns.iter().peekable());
    let mut decides = 0;
    for line in std::fs::read_to_string(path).expect("scores").lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line");
        let number =
            |model: &str| -> u64 { model.strip_prefix("shop/").expect("ours").parse().expect("a number") };
        while let Some((_, model)) = turns.next_if(|(first, _)| Some(*first) <= line["sequence"].as_u64()) {
            decides = number(model);
        }
        let beside = number(line["model"].as_str().expect("a name")) - decides;
        assert!(beside == 1 || beside == 2, "{line} beside shop/{decides}");
        scored += 1;
    }
    assert!(scored > 1_000, "{scored} scores");

    let mut again = Witness::default();
    let mut engine = engine::open(&config, "").expect("an engine");
    let mut source = source();
    engine.set_partitions(source.partitions());
    let (mut records, mut outputs) = (Records::default(), Outputs::default());
    let ends = witness.turns.iter().skip(1).map(|(first, _)| *first).chain([taken]);
    for ((_, model), end) in witness.turns.iter().zip(ends) {
        let number = model.strip_prefix("shop/").and_then(|number| number.parse().ok());
        engine.set_scorer(Some(scorer(number.expect("a number"))));
        while engine.next_sequence() < end {
            let most = (end - engine.next_sequence()).min(100) as usize;
            assert_eq!(source.read(&mut records, BATCH_BYTES, most).expect("records"), Read::More);
            engine.process(&mut records, &mut outputs);
            again.see(outputs.decisions(), outputs.alerts());
        }
    }
    assert_eq!(again.turns, witness.turns);
    assert_eq!(again.decisions.finalize(), witness.decisions.finalize());
    assert_eq!(again.alerts.finalize(), witness.alerts.finalize());
}

/// Does not come back from its first batch before the engine is two further on.
struct Slow {
    is_first: bool,
    worked: Receiver<()>,
}

impl Sink for Slow {
    fn write(&mut self, _: &Output<'_>) -> Result<(), Trouble> {
        if std::mem::take(&mut self.is_first) {
            for _ in 0..3 {
                self.worked.recv_timeout(Duration::from_mins(1)).expect("the engine waits for nobody's call");
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        Ok(())
    }
}

/// O9: the engine's thread makes no call of a sink's, which may take as long as the world likes.
#[test]
fn the_engine_works_on_while_a_sink_waits() {
    let config = config();
    let engine = engine::open(&config, "").expect("an engine");
    let (vitals, stop) = (Vitals::default(), AtomicBool::new(false));
    let (work, worked) = bounded(100);
    let mut sink = Slow { is_first: true, worked };
    let around = Around { stop: &stop, vitals: &vitals, switches: None, hand: None };
    let settings = Settings { output: 3, ..Settings::of(&config, None) };
    let mut batches = 0;
    let tell = |_: &Progress<'_>| {
        batches += 1;
        stop.store(batches >= 3, Ordering::Relaxed);
        let _ = work.try_send(());
    };
    run(Input::Once(Box::new(source())), engine, &mut sink, settings, around, tell).expect("a run");
    assert!(batches >= 3);
}
