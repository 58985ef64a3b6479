//! D10: a record that makes the decoder panic is a reject with its place; the stream, and the decoder, go on.

use crate::batch::{
    DedupeSettings, Engine, EngineSettings, OutputFeatures, OutputSettings, Outputs, ReasonSettings,
    StateSettings, decode_is_guarded,
};
use crate::document::Layer;
use crate::features::file;
use crate::features::plan::Plan;
use crate::record::Records;
use crate::schema::Schema;
use crate::schema::samples::{entity, least};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a record says that is to make the decoder panic.
pub(super) const FAULT: &[u8] = b"\"decoder\":\"panics\"";

fn engine(workers: usize) -> Engine {
    let schema = Schema { entities: vec![entity("customer", &["customer"])], ..least() };
    let text = "[[feature]]\nentity = 'customer'\nwindows = '1h'\naggregates = 'count'\n";
    let set = file::read(text, Layer::File, "test", &schema).expect("the features are right");
    let state = StateSettings {
        shards: 8,
        memory_bytes: 1 << 24,
        entries_per_key: 64,
        values_per_key: 16,
        forget_after_ms: 86_400_000,
        sweep_every: 1 << 20,
        lateness_ms: 0,
    };
    let settings = EngineSettings {
        workers,
        state,
        dedupe: DedupeSettings { span_ms: 60_000, memory_bytes: 1 << 20 },
        output: OutputSettings { features: OutputFeatures::All, as_array: true, event: false },
        reasons: ReasonSettings { top: 5, max_share: 0.01 },
        ids: None,
    };
    Engine::new(Arc::new(Plan::new(Arc::new(schema), Arc::new(set), 0)), settings, None)
}

/// What 2,000 records of one customer come to, of which every hundredth holds `bad`.
fn run(workers: usize, bad: &str) -> (String, String) {
    let mut batch = Records::default();
    for n in 0..2_000_u32 {
        let more = if n % 100 == 50 { bad } else { "" };
        let record = format!(
            r#"{{"id":"{n}","t":{},"amount":1,"customer":"c"{more}}}"#,
            1_720_000_000_000_i64 + i64::from(n)
        );
        batch.push_json(record.as_bytes());
    }
    let (mut engine, mut outputs) = (engine(workers), Outputs::default());
    engine.process(&mut batch, &mut outputs);
    let text = |pieces: Vec<&[u8]>| String::from_utf8(pieces.concat()).expect("lines are text");
    (text(outputs.decisions().collect()), text(outputs.rejects().collect()))
}

#[test]
fn a_panic_of_the_decoder_is_a_reject_of_that_record_alone() {
    static GUARDED: AtomicUsize = AtomicUsize::new(0);
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() == Some("a fault to order") {
            // What the service's hook asks before it ends the process.
            GUARDED.fetch_add(usize::from(decode_is_guarded()), Ordering::Relaxed);
        } else {
            print(info);
        }
    }));
    // The same records as rejects of another kind.
    let (decisions, rejects) = run(1, ",\"amount\":1");
    assert_eq!((decisions.lines().count(), rejects.lines().count()), (1_980, 20));
    for workers in [1, 2, 3] {
        let before = GUARDED.load(Ordering::Relaxed);
        let (again, panicked) = run(workers, ",\"decoder\":\"panics\"");
        assert!(again == decisions, "{workers} workers: other decisions");
        assert_eq!(GUARDED.load(Ordering::Relaxed) - before, 20);
        assert!(!decode_is_guarded());
        for (reject, n) in panicked.lines().zip((50..).step_by(100)) {
            assert!(reject.contains(r#""reason":"panic""#), "{reject}");
            assert!(reject.contains(&format!(r#""sequence":{n},"#)), "{reject}");
            assert!(!reject.contains("decoder"), "part of the payload: {reject}");
        }
        assert_eq!(panicked.lines().count(), 20);
    }
}
