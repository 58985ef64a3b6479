//! The source through the real SDK, against a local Kinesis: rows S1 to S16 of docs/failures.md that need no fault on the way.

mod consumed;
mod other_server;
mod process;

use aws_sdk_kinesis::primitives::Blob;
use cartguard_engine::record::Form;
use cartguard_engine::reject::Reason;
use cartguard_history::{Change, Partitions, Start};
use cartguard_io::{Advice, Read, Replayable, Source, Trouble};
use cartguard_kinesis::{Begin, KinesisSource, Limits, Mode, Settings};
use cartguard_kinesis_tests::local;
use cartguard_shards::aggregate::{Aggregate, Part, aggregated};
use consumed::{Consumed, Log, Rig, read};
use ferrokinesis::store::StoreOptions;
use std::io::Write;
use std::time::Duration;

const MODES: [Mode; 2] = [Mode::Polling, Mode::FanOut];

/// A stream of one shard, a source that took its ten records, and what that gave.
fn ten_taken(mode: Mode) -> (Rig, KinesisSource, Log) {
    let rig = Rig::new(local::options(), 1);
    rig.put_many(0..10);
    let mut source = rig.open(mode, Begin::Oldest);
    let mut log = Log::default();
    read(&mut source, &mut log, 10);
    (rig, source, log)
}

#[test]
fn every_record_of_every_shard_once_in_both_modes() {
    for mode in MODES {
        let rig = Rig::new(local::options(), 3);
        let mut put = rig.put_many(0..200);
        let mut source = rig.open(mode, Begin::Oldest);
        let mut log = Log::default();
        read(&mut source, &mut log, 200);
        put.extend(rig.put_many(200..300));
        read(&mut source, &mut log, 300);
        Rig::check(&log, &put);
        let shards = source.metrics().shards();
        assert_eq!(shards.iter().map(|shard| shard.records).sum::<u64>(), 300);
        assert!(shards.iter().all(|shard| shard.mode == mode && shard.lag_ms == 0), "{shards:?}");
    }
}

#[test]
fn splits_and_merges_under_load_keep_every_key_in_order() {
    for (mode, begin) in
        [(Mode::Polling, Begin::Oldest), (Mode::FanOut, Begin::Oldest), (Mode::Polling, Begin::At(1_000))]
    {
        let rig = Rig::new(local::options(), 2);
        let mut put = rig.put_many(0..100);
        let mut source = rig.open(mode, begin);
        let mut log = Log::default();
        read(&mut source, &mut log, 40);
        rig.split(0);
        put.extend(rig.put_many(100..200));
        rig.split(1);
        read(&mut source, &mut log, 150);
        put.extend(rig.put_many(200..300));
        rig.merge();
        put.extend(rig.put_many(300..400));
        rig.merge();
        put.extend(rig.put_many(400..500));
        read(&mut source, &mut log, 500);
        Rig::check(&log, &put);
        let partitions = log.partitions.list();
        let finished = partitions.iter().filter(|partition| partition.is_finished).count();
        assert!(finished >= 4, "{finished} shards were finished");
        // Children begin with their oldest record, whatever the stream begins with.
        let children = partitions.iter().filter(|partition| !partition.opened.parents.is_empty());
        for child in children {
            let is_of_some = child.opened.parents.iter().any(|&of| partitions[of as usize].place.is_some());
            assert!(!is_of_some || child.opened.start == Start::Oldest, "{child:?}");
        }
        assert_eq!(partitions[0].opened.start == Start::Oldest, begin == Begin::Oldest);
    }
}

fn part(key: u64, explicit: Option<u64>, data: &[u8]) -> Part {
    Part { partition_key: Some(key), explicit_hash_key: explicit, data: Some(data.to_vec().into()) }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// A sound aggregate of three, of which one is packed and one has another shard's key.
fn aggregate() -> Aggregate {
    Aggregate {
        partition_keys: vec!["k".into()],
        explicit_hash_keys: vec![u128::MAX.to_string()],
        records: vec![
            part(0, None, b"{\"n\":0}"),
            part(0, None, &gzip(b"{\"n\":1}")),
            part(0, Some(0), b"{\"n\":2}"),
        ],
    }
}

#[test]
fn aggregates_and_packed_payloads_become_records_or_one_reject() {
    let rig = Rig::new(local::options(), 2);
    let mut broken = aggregate();
    broken.records.push(part(7, None, b"x"));
    let bomb = gzip(&vec![b' '; 11 << 20]);
    let torn = &gzip(b"{\"n\":9}")[..12];
    let mut other_digest = aggregated(&aggregate());
    *other_digest.last_mut().expect("a digest") ^= 1;
    // All to the shard of hash key 0.
    for data in
        [&aggregated(&aggregate())[..], &aggregated(&broken), &bomb, torn, &other_digest, b"{\"n\":3}"]
    {
        rig.put_to(0, data);
    }
    let mut source = rig.open(Mode::Polling, Begin::Oldest);
    let mut log = Log::default();
    read(&mut source, &mut log, 8);
    let have: Vec<_> =
        log.consumed.iter().map(|record| (record.form, record.sub, record.bytes.as_slice())).collect();
    let refused = |reason| (Form::Refused(reason), 0, &b""[..]);
    assert_eq!(
        have,
        [
            (Form::Json, 0, &b"{\"n\":0}"[..]),
            (Form::Json, 1, b"{\"n\":1}"),
            (Form::Json, 2, b"{\"n\":2}"),
            refused(Reason::InvalidAggregate),
            refused(Reason::TooLarge),
            refused(Reason::InvalidCompression),
            (Form::Json, 0, &other_digest),
            (Form::Json, 0, b"{\"n\":3}"),
        ]
    );
    let outside: u64 = source.metrics().shards().iter().map(|shard| shard.outside).sum();
    assert!(outside >= 1, "the explicit key is the other shard's");
    // S16: on within the aggregate, from a log that ends in it.
    for taken in 1..log.consumed.len() {
        let mut partitions = Partitions::default();
        for change in log.changes() {
            partitions.apply(change).expect("in order");
        }
        partitions.advance(&log.run_of(0..taken)).expect("forwards");
        let mut again = rig.open(Mode::Polling, Begin::Oldest);
        again.resume(&partitions).expect("still there");
        let mut rest = Log::resumed(partitions);
        read(&mut again, &mut rest, log.consumed.len() - taken);
        assert_eq!(rest.consumed, log.consumed[taken..], "behind {taken}");
    }
}

#[test]
fn a_log_is_taken_again_and_then_gone_on_behind() {
    for mode in MODES {
        let rig = Rig::new(local::options(), 2);
        let mut put = rig.put_many(0..100);
        let mut source = rig.open(mode, Begin::Oldest);
        let mut log = Log::default();
        read(&mut source, &mut log, 60);
        rig.split(0);
        put.extend(rig.put_many(100..200));
        read(&mut source, &mut log, 150);
        let identity = source.identity();
        drop(source);
        put.extend(rig.put_many(200..250));
        let mut again = rig.open(mode, Begin::Oldest);
        assert_eq!(again.identity(), identity);
        again.resume(&Partitions::default()).expect("a fresh start");
        let mut repeated = log.repeat(&mut again);
        assert_eq!(repeated.consumed, log.consumed, "the same bytes at the same places");
        read(&mut again, &mut repeated, 250);
        Rig::check(&repeated, &put);
    }
}

#[test]
fn a_run_that_is_not_there_so_is_trouble() {
    let (rig, _, log) = ten_taken(Mode::Polling);
    let mut other = log.run_of(0..5);
    other.records = 4;
    let mut again = rig.open(Mode::Polling, Begin::Oldest);
    again.resume(&Partitions::default()).expect("a fresh start");
    for change in log.changes() {
        again.apply(change).expect("in order");
    }
    let mut records = cartguard_engine::record::Records::default();
    let trouble = again.take(&other, &mut records, &|| false).expect_err("another end");
    assert!(trouble.to_string().contains("were taken before, and now they end at"), "{trouble}");
}

#[test]
fn a_stream_made_anew_is_refused() {
    for mode in MODES {
        let (rig, mut source, _) = ten_taken(mode);
        let identity = source.identity();
        rig.recreate();
        rig.split(0);
        let trouble = loop {
            match source.read(&mut cartguard_engine::record::Records::default(), 1 << 20, 100) {
                // Whatever the readers of the first saw of the second, the stream's end it is not.
                Ok(read) => {
                    assert_eq!(read, Read::Idle);
                    assert_eq!(source.changes(), []);
                }
                Err(trouble) => break trouble,
            }
        };
        // Which of the two a reader saw is a matter of moments.
        let words = ["stream identity changed", "was deleted"];
        assert!(words.iter().any(|word| trouble.to_string().contains(word)), "{trouble}");
        assert_ne!(rig.open(mode, Begin::Oldest).identity(), identity);
    }
}

#[test]
fn latest_is_a_time_told_before_the_first_record() {
    for mode in MODES {
        let rig = Rig::new(local::options(), 2);
        rig.put_many(0..50);
        // The local server keeps arrivals in whole seconds.
        let mut before = rig.arrival_of_a_put();
        let first = before;
        while before == first {
            before = rig.arrival_of_a_put();
        }
        let next = before;
        while before == next {
            before = rig.arrival_of_a_put();
        }
        let mut source = rig.open(mode, Begin::Latest);
        let mut records = cartguard_engine::record::Records::default();
        assert_eq!(source.read(&mut records, 1 << 20, 100).ok(), Some(Read::Idle));
        let changes = source.changes();
        assert_eq!(changes.len(), 2);
        for change in &changes {
            let Change::Open(opened) = change else { panic!("{change:?}") };
            let Start::At(ms) = opened.start else { panic!("{change:?}") };
            assert!(ms > next, "resolved to now");
        }
        let mut log = Log::default();
        log.change(changes);
        let put = rig.put_many(50..100);
        while log.consumed.iter().filter(|record| record.bytes.starts_with(b"{\"event_id\"")).count() < 50 {
            let records = log.consumed.len() + 1;
            read(&mut source, &mut log, records);
        }
        log.consumed.retain(|record| record.bytes.starts_with(b"{\"event_id\""));
        Rig::check(&log, &put);
    }
}

#[test]
fn an_expired_iterator_is_got_anew_behind_the_last_record() {
    let options = StoreOptions { iterator_ttl_seconds: 1, ..local::options() };
    let rig = Rig::new(options, 1);
    let mut put = rig.put_many(0..10);
    let mut settings = Rig::settings(Mode::Polling, Begin::Oldest);
    // Slower than an iterator lives.
    settings.limits = Limits { calls_per_second: 0.8, records_per_call: 10, ..settings.limits };
    let mut source = rig.open_as(settings);
    let mut log = Log::default();
    read(&mut source, &mut log, 10);
    for round in 1..4 {
        put.extend(rig.put_many(round * 10..round * 10 + 10));
        read(&mut source, &mut log, (round * 10 + 10) as usize);
    }
    Rig::check(&log, &put);
    assert!(source.metrics().shards()[0].reconnects > 0, "no iterator expired");
}

#[test]
fn subscriptions_that_end_are_made_anew_behind_the_last_record() {
    let options = StoreOptions { subscribe_to_shard_session_ms: 300, ..local::options() };
    let rig = Rig::new(options, 2);
    let mut source = rig.open(Mode::FanOut, Begin::Oldest);
    let mut log = Log::default();
    let mut put = Vec::new();
    for round in 0..8 {
        put.extend(rig.put_many(round * 20..round * 20 + 20));
        read(&mut source, &mut log, (round * 20 + 20) as usize);
    }
    Rig::check(&log, &put);
}

#[test]
fn records_past_their_retention_are_named_and_passed_by_only_where_accepted() {
    let (rig, _, log) = ten_taken(Mode::Polling);
    let mut partitions = Partitions::default();
    for change in log.changes() {
        partitions.apply(change).expect("in order");
    }
    partitions.advance(&log.run_of(0..4)).expect("forwards");
    rig.expire(6);
    let mut again = rig.open(Mode::Polling, Begin::Oldest);
    again.resume(&partitions).expect("nothing was asked yet");
    let trouble = again.go_on(&|| false).expect_err("two records are gone");
    assert_eq!(trouble.advice(), Advice::Refuse);
    let (gone, next) = (&log.consumed[3], &log.consumed[6]);
    for part in ["shardId-000000000000", "hash keys 0 to", &gone.number, &next.number, "accept_gap"] {
        assert!(trouble.to_string().contains(part), "{part}: {trouble}");
    }
    let mut again = rig.open_as(Settings { accept_gap: true, ..Rig::settings(Mode::Polling, Begin::Oldest) });
    again.resume(&partitions).expect("accepted");
    let mut rest = Log::resumed(partitions);
    read(&mut again, &mut rest, 4);
    assert_eq!(rest.consumed, log.consumed[6..]);
    let gaps: Vec<_> = rest.changes().filter(|change| matches!(change, Change::Gap { .. })).collect();
    assert_eq!(gaps.len(), 1, "the gap is told, once");
}

/// Goes on behind what was taken, with what was told of it so far.
fn begin_again(rig: &Rig, partitions: &Partitions, accept_gap: bool) -> Result<Vec<Change>, Trouble> {
    let settings = Settings { accept_gap, ..Rig::settings(Mode::Polling, Begin::Oldest) };
    let mut again = rig.open_as(settings);
    again.resume(partitions).expect("nothing was asked yet");
    again.go_on(&|| false)?;
    Ok(again.changes())
}

#[test]
fn an_accepted_gap_is_not_asked_for_again() {
    let (rig, _, log) = ten_taken(Mode::Polling);
    let mut partitions = Partitions::default();
    for change in log.changes() {
        partitions.apply(change).expect("in order");
    }
    partitions.advance(&log.run_of(0..4)).expect("forwards");
    rig.expire(6);
    let changes = begin_again(&rig, &partitions, true).expect("accepted");
    assert!(matches!(changes[..], [Change::Gap { before: Some(_), .. }]), "{changes:?}");
    partitions.apply(&changes[0]).expect("in order");
    // Killed before a record was taken.
    for accept_gap in [false, true] {
        assert_eq!(begin_again(&rig, &partitions, accept_gap).ok(), Some(Vec::new()));
    }
    // More is lost than was accepted.
    rig.expire(1);
    let trouble = begin_again(&rig, &partitions, false).expect_err("one more is gone");
    assert!(trouble.to_string().contains(&log.consumed[7].number), "{trouble}");
    let changes = begin_again(&rig, &partitions, true).expect("accepted");
    assert_eq!(changes.len(), 1);
    partitions.apply(&changes[0]).expect("in order");
    // All of it: nothing is left that could prove anything but the time.
    rig.expire(3);
    let changes = begin_again(&rig, &partitions, true).expect("accepted");
    assert!(matches!(changes[..], [Change::Gap { before: None, .. }, Change::Quiet { .. }]), "{changes:?}");
    for change in &changes {
        partitions.apply(change).expect("in order");
    }
    assert_eq!(begin_again(&rig, &partitions, false).ok(), Some(Vec::new()));
    let put = rig.put_many(10..20);
    let mut again = rig.open(Mode::Polling, Begin::Oldest);
    again.resume(&partitions).expect("nothing was asked yet");
    let mut rest = Log::resumed(partitions);
    read(&mut again, &mut rest, 10);
    Rig::check(&rest, &put);
}

#[test]
fn a_quiet_shard_whose_last_record_is_past_its_retention_has_lost_nothing() {
    let (rig, _, log) = ten_taken(Mode::Polling);
    let mut partitions = log.partitions.clone();
    // The first quiet moment of a process is written down.
    let mut again = rig.open(Mode::Polling, Begin::Oldest);
    again.resume(&partitions).expect("nothing was asked yet");
    let mut records = cartguard_engine::record::Records::default();
    let changes = loop {
        assert_eq!(again.read(&mut records, 1 << 20, 100).ok(), Some(Read::Idle));
        let changes = again.changes();
        if !changes.is_empty() {
            break changes;
        }
    };
    assert!(matches!(changes[..], [Change::Quiet { partition: 0, .. }]), "{changes:?}");
    drop(again);
    rig.expire(10);
    let trouble = begin_again(&rig, &partitions, false).expect_err("nobody knows that it was quiet");
    assert!(trouble.to_string().contains("nothing behind it"), "{trouble}");
    partitions.apply(&changes[0]).expect("in order");
    assert_eq!(begin_again(&rig, &partitions, false).ok(), Some(Vec::new()));
    // Seen quiet so long ago that something may have come and gone since.
    let mut long_ago = partitions.clone();
    long_ago.apply(&Change::Quiet { partition: 0, until_ms: 1_000 }).expect("in order");
    let trouble = begin_again(&rig, &long_ago, false).expect_err("nobody knows");
    assert!(trouble.to_string().contains("arrived from 1000 ms on"), "{trouble}");
    // What comes is read from behind the place, though the record there is gone.
    let put = rig.put_many(10..20);
    let mut again = rig.open(Mode::FanOut, Begin::Oldest);
    again.resume(&partitions).expect("nothing was asked yet");
    let mut rest = Log::resumed(partitions);
    read(&mut again, &mut rest, 10);
    Rig::check(&rest, &put);
}

#[test]
fn small_bombs_never_make_a_large_batch() {
    let rig = Rig::new(local::options(), 1);
    // Some hundred to one: within what a payload may become.
    let unpacked: Vec<u8> =
        (0..9 << 20).map(|at| if at % 97 == 0 { (at / 97 % 251) as u8 } else { b' ' }).collect();
    let packed = gzip(&unpacked);
    let bombs = 20;
    for _ in 0..bombs {
        rig.put_to(0, &packed);
    }
    let mut source = rig.open(Mode::Polling, Begin::Oldest);
    let mut records = cartguard_engine::record::Records::default();
    let mut taken = 0;
    while taken < bombs {
        source.read(&mut records, 512 * 1024, 4096).expect("a read");
        taken += records.len();
        assert!(records.len() <= 1, "each is larger than a batch");
    }
}

#[test]
fn a_stream_that_is_not_there_is_refused_at_once() {
    let rig = Rig::new(local::options(), 1);
    let settings = Settings { stream: "no-such".into(), ..Rig::settings(Mode::Polling, Begin::Oldest) };
    let refused = cartguard_kinesis::open_with(&local::client(&rig.url()), settings, rig.voice(), &|| false);
    let trouble = refused.err().expect("no such stream");
    assert_eq!(trouble.advice(), Advice::Refuse);
    assert!(trouble.to_string().contains("no-such"), "{trouble}");
}

/// What a person would see go by: fan-out has a consumer, and a second process with its name finds it.
#[test]
fn a_consumer_is_registered_once() {
    let rig = Rig::new(local::options(), 1);
    for _ in 0..2 {
        let mut source = rig.open(Mode::FanOut, Begin::Oldest);
        let mut log = Log::default();
        rig.put_to(0, b"{}");
        read(&mut source, &mut log, 1);
    }
    assert_eq!(rig.consumers(), ["cartguard"]);
}

/// Bytes and records that wait for the engine are bounded, whatever is in the stream.
#[test]
fn what_waits_for_the_engine_is_bounded() {
    for mode in MODES {
        let rig = Rig::new(local::options(), 1);
        let data = Blob::new(vec![b'x'; 1000]);
        rig.put_blobs(0, 2_000, &data);
        let mut settings = Rig::settings(mode, Begin::Oldest);
        settings.limits = Limits {
            buffer_bytes: 50_000,
            records_per_call: 10,
            heartbeat: Duration::from_secs(30),
            ..settings.limits
        };
        let mut source = rig.open_as(settings);
        let mut log = Log::default();
        read(&mut source, &mut log, 1);
        // The reader has asked no further than its buffer and one answer; in fan-out an event is an answer.
        let received = source.metrics().shards()[0].records;
        if mode == Mode::Polling {
            assert!(received <= 50 + 10 + 1 + 10, "{received} records were received for one taken");
        }
        read(&mut source, &mut log, 2_000);
        let bytes: Vec<&Consumed> = log.consumed.iter().filter(|record| record.bytes.len() != 1000).collect();
        assert!(bytes.is_empty());
    }
}
