//! What every source and every sink has to hold, as checks that an adapter's tests run.
//!
//! Here for adapters in other crates; the product itself calls nothing of it. A check panics with what
//! differs, as a test does.

use crate::{Output, Position, Read, Sink, Source, Store, Trouble};
use cartguard_engine::record::{Form, Location, Records};

/// A record that a source must yield.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its place.
    pub at: Position,
    /// How its bytes came to be.
    pub form: Form,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Limits of a read, bytes and records, that a source is tried with.
const LIMITS: [(usize, usize); 8] = [
    (1, 1),
    (1, usize::MAX),
    (100, 3),
    (4_000, usize::MAX),
    (1 << 16, 1),
    (1 << 19, 7),
    (1 << 19, 1_000),
    (usize::MAX, usize::MAX),
];

/// Reads a source to its end under many limits: every record once, in order, with its place and bytes; limits
/// kept; the position behind the last record; the end final.
pub fn check_source<S: Source>(mut open: impl FnMut() -> S, expected: &[Expected]) {
    for (max_bytes, max_records) in LIMITS {
        let mut source = open();
        let taken = take_all(&mut source, max_bytes, max_records);
        for (index, (have, want)) in taken.iter().zip(expected).enumerate() {
            assert_eq!(have, want, "record {index} under {max_bytes} bytes and {max_records} records");
        }
        assert_eq!(taken.len(), expected.len(), "records under {max_bytes} bytes and {max_records} records");
    }
}

/// Everything that a source yields until its end.
pub fn take_all<S: Source>(source: &mut S, max_bytes: usize, max_records: usize) -> Vec<Expected> {
    let mut taken: Vec<Expected> = Vec::new();
    let mut batch = Records::default();
    // A batch must come empty of what its owner left in it.
    batch.push_json(b"left over");
    loop {
        let before = source.position();
        let read = source.read(&mut batch, max_bytes, max_records).unwrap_or_else(|e| panic!("{e}: {e:?}"));
        match read {
            Read::More => assert!(!batch.is_empty(), "More without a record"),
            Read::Idle => assert!(batch.is_empty(), "Idle with a record"),
            Read::End => break,
        }
        assert!(batch.len() <= max_records, "{} records of at most {max_records}", batch.len());
        let bytes: usize = (0..batch.len()).map(|index| batch.bytes_of(index).len()).sum();
        assert!(bytes <= max_bytes || batch.len() == 1, "{bytes} bytes of at most {max_bytes}");
        for (index, meta) in batch.list.iter().enumerate() {
            let Location::Row { line, offset } = meta.place else { panic!("a file has lines or rows") };
            let at = Position { partition: meta.partition, line, offset };
            assert!(at >= before, "a record at {at:?}, which was said to be taken: {before:?}");
            assert!((at.partition as usize) < source.partitions().len(), "an unknown partition");
            taken.push(Expected { at, form: meta.form, bytes: batch.bytes_of(index).to_vec() });
        }
        let last = taken.last().map(|record| record.at).unwrap_or_default();
        assert!(batch.is_empty() || source.position() > last, "the position is not behind the last record");
    }
    for _ in 0..2 {
        assert!(batch.is_empty(), "End with a record");
        let again = source.read(&mut batch, max_bytes, max_records);
        assert_eq!(again.ok(), Some(Read::End), "the end is not final");
    }
    taken
}

/// Batches that a sink is tried with: none, one piece, empty pieces, more pieces than one call takes, large.
fn batches() -> Vec<[Vec<Vec<u8>>; 3]> {
    let line = |list: &str, n: usize| format!("{{\"{list}\":{n}}}\n").into_bytes();
    let large = |list: &str| vec![line(list, 7).repeat(100_000), line(list, 8)];
    let mut batches = vec![
        [vec![], vec![], vec![]],
        [vec![line("decision", 1)], vec![], vec![line("reject", 1)]],
        [vec![vec![], line("decision", 2), vec![]], vec![line("alert", 2)], vec![vec![]]],
        [large("decision"), large("alert"), large("reject")],
    ];
    batches.push(["decision", "alert", "reject"].map(|list| (0..3_000).map(|n| line(list, n)).collect()));
    batches
}

/// Writes batches and finishes: `delivered` shows what lies at the other end (decisions, alerts, rejects), or
/// nothing for a list that the sink does not deliver.
pub fn check_sink(sink: &mut dyn Sink, delivered: impl FnOnce() -> [Option<Vec<u8>>; 3]) {
    let mut sent = [Vec::new(), Vec::new(), Vec::new()];
    for batch in batches() {
        for (sent, pieces) in sent.iter_mut().zip(&batch) {
            sent.extend(pieces.concat());
        }
        let [decisions, alerts, rejects] =
            batch.each_ref().map(|pieces| pieces.iter().map(Vec::as_slice).collect());
        let (decisions, alerts, rejects): (Vec<_>, Vec<_>, Vec<_>) = (decisions, alerts, rejects);
        let output = Output { batch: 0, decisions: &decisions, alerts: &alerts, rejects: &rejects };
        sink.write(&output).unwrap_or_else(|e| panic!("{e}: {e:?}"));
    }
    sink.finish().unwrap_or_else(|e| panic!("{e}: {e:?}"));
    let names = ["decisions", "alerts", "rejects"];
    for ((sent, delivered), name) in sent.iter().zip(delivered()).zip(names) {
        let Some(delivered) = delivered else { continue };
        assert!(
            *sent == delivered,
            "{name}: {} bytes sent, {} other ones delivered",
            sent.len(),
            delivered.len()
        );
    }
}

/// Stores, lists, replaces and removes blobs; of two that store the same name at once one succeeds.
pub fn check_store(store: &dyn Store) {
    let ok = |result: Result<(), Trouble>| result.unwrap_or_else(|e| panic!("{e}: {e:?}"));
    let get = |name| store.get(name).unwrap_or_else(|e| panic!("{e}: {e:?}"));
    assert_eq!(get("a.part"), None, "an empty store");
    let long = vec![7; 1 << 20];
    for (name, bytes) in [("b", &b"one"[..]), ("a.part", b""), ("c-1_2", &long), ("b", b"two")] {
        ok(store.put(name, bytes));
        assert_eq!(get(name).as_deref(), Some(bytes), "{name} as it was put");
    }
    let list = || store.list().unwrap_or_else(|e| panic!("{e}: {e:?}"));
    assert_eq!(list(), ["a.part", "b", "c-1_2"]);
    let winners = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8_u8)
            .map(|who| scope.spawn(move || (who, store.put_if_absent("once", &[who]).is_ok_and(|won| won))))
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .filter(|(_, won)| *won)
            .collect::<Vec<_>>()
    });
    assert_eq!(winners.len(), 1, "one of several wins");
    assert_eq!(get("once"), Some(vec![winners[0].0]), "and it is the winner's");
    for name in ["b", "once", "never there"] {
        ok(store.remove(name));
        assert_eq!(get(name), None, "{name} is gone");
    }
    assert_eq!(list(), ["a.part", "c-1_2"]);
}
