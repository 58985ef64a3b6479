//! The source through the real SDK and a fault proxy: rows S1, S2, S10 to S13 and S22 of docs/failures.md.

mod consumed;

use cartguard_engine::record::Records;
use cartguard_history::{Change, Start};
use cartguard_io::{Advice, Read, Source};
use cartguard_kinesis::{Begin, Limits, Mode, Settings};
use cartguard_kinesis_tests::local;
use cartguard_kinesis_tests::proxy::{Fault, Service, When};
use consumed::{Log, Rig, read};
use std::time::Duration;

/// Sessions that follow each other at once are what the tests are about.
fn service() -> Service {
    Service { one_subscriber: None, ..Service::default() }
}

/// Puts, splits and merges while the source reads, and checks what it gave.
#[track_caller]
fn live(rig: &Rig, mode: Mode, limits: impl FnOnce(Limits) -> Limits) {
    let mut put = rig.put_many(0..100);
    let mut settings = Rig::settings(mode, Begin::Oldest);
    settings.limits = limits(settings.limits);
    let mut source = rig.open_as(settings);
    let mut log = Log::default();
    read(&mut source, &mut log, 50);
    rig.split(0);
    put.extend(rig.put_many(100..200));
    read(&mut source, &mut log, 150);
    rig.merge();
    put.extend(rig.put_many(200..300));
    read(&mut source, &mut log, 300);
    Rig::check(&log, &put);
}

#[test]
fn polling_passes_whatever_passes_without_loss_or_repeat() {
    for seed in 0..4 {
        let rig = Rig::behind(local::options(), 2, Service { shards_page: 2, ..service() });
        let plan = rig.plan();
        for (at, code) in [
            "ProvisionedThroughputExceededException",
            "ExpiredIteratorException",
            "KMSThrottlingException",
            "KMSDisabledException",
            "InternalFailure",
            "ServiceUnavailable",
            "ExpiredTokenException",
            "AccessDeniedException",
        ]
        .into_iter()
        .enumerate()
        {
            let seed = seed * 100 + at as u64;
            plan.add("GetRecords", When::PerMille(60, seed), Fault::refuse(code));
            plan.add("GetShardIterator", When::PerMille(60, seed + 50), Fault::refuse(code));
        }
        plan.add("GetRecords", When::PerMille(60, seed), Fault::LoseAnswer);
        plan.add("GetRecords", When::PerMille(60, seed + 1), Fault::Reset);
        plan.add("GetRecords", When::PerMille(60, seed + 2), Fault::Cut { bytes: 70 });
        plan.add("ListShards", When::PerMille(300, seed), Fault::throttle());
        live(&rig, Mode::Polling, |limits| limits);
        assert!(plan.calls("GetRecords") > 0);
    }
}

#[test]
fn subscriptions_pass_whatever_passes_without_loss_or_repeat() {
    for seed in 0..4 {
        let rig = Rig::behind(local::options(), 2, service());
        let plan = rig.plan();
        let mid = |events, code| Fault::ErrorEvent { events, code };
        plan.add("SubscribeToShard", When::PerMille(150, seed), Fault::refuse("ResourceInUseException"));
        plan.add("SubscribeToShard", When::PerMille(100, seed + 1), Fault::throttle());
        plan.add("SubscribeToShard", When::PerMille(200, seed + 2), mid(1, "InternalFailureException"));
        plan.add("SubscribeToShard", When::PerMille(200, seed + 3), mid(2, "KMSThrottlingException"));
        plan.add("SubscribeToShard", When::PerMille(200, seed + 4), mid(0, "ResourceInUseException"));
        plan.add("SubscribeToShard", When::PerMille(100, seed + 5), Fault::Cut { bytes: 900 });
        plan.add("SubscribeToShard", When::PerMille(100, seed + 6), Fault::Reset);
        live(&rig, Mode::FanOut, |limits| limits);
    }
}

#[test]
fn a_subscription_that_goes_silent_is_left_by_our_own_deadline() {
    let rig = Rig::behind(local::options(), 1, service());
    rig.plan().add("SubscribeToShard", When::First(3), Fault::Silence { events: 1 });
    live(&rig, Mode::FanOut, |limits| Limits { heartbeat: Duration::from_millis(600), ..limits });
    let dead = rig.told().iter().filter(|line| line.contains("the subscription is dead")).count();
    assert!(dead >= 1, "told: {:?}", rig.told());
}

#[test]
fn a_subscription_is_made_anew_before_its_time_is_up() {
    let rig = Rig::behind(local::options(), 1, service());
    live(&rig, Mode::FanOut, |limits| Limits { subscription: Duration::from_millis(300), ..limits });
}

#[test]
fn what_cannot_subscribe_is_polled_and_said_so() {
    for code in ["AccessDeniedException", "ResourceInUseException", "LimitExceededException"] {
        let rig = Rig::behind(local::options(), 2, service());
        rig.plan().add("SubscribeToShard", When::Always, Fault::refuse(code));
        live(&rig, Mode::FanOut, |limits| limits);
        let told = rig.told();
        assert!(told.iter().any(|line| line.contains("it is polled") && line.contains(code)), "{told:?}");
    }
    let rig = Rig::behind(local::options(), 1, service());
    rig.plan().add("RegisterStreamConsumer", When::Always, Fault::refuse("AccessDeniedException"));
    live(&rig, Mode::FanOut, |limits| limits);
    assert!(rig.told().iter().any(|line| line.contains("kinesis:RegisterStreamConsumer on arn:aws:kinesis")));
}

#[test]
fn a_call_that_is_never_answered_is_given_up_and_made_again() {
    let rig = Rig::behind(local::options(), 1, service());
    for action in ["GetRecords", "GetShardIterator", "ListShards", "DescribeStreamSummary"] {
        rig.plan().add(action, When::Nth(0), Fault::Hang);
    }
    live(&rig, Mode::Polling, |limits| Limits { call_timeout: Duration::from_millis(500), ..limits });
}

#[test]
fn an_hour_of_refusals_moves_nothing_and_ends_nothing() {
    let rig = Rig::behind(local::options(), 1, service());
    rig.plan().add("GetRecords", When::First(400), Fault::throttle());
    rig.plan().add("GetShardIterator", When::First(100), Fault::refuse("AccessDeniedException"));
    live(&rig, Mode::Polling, |limits| Limits {
        calls_per_second: 1e5,
        backoff_max: Duration::from_micros(10),
        ..limits
    });
    let told = rig.told();
    // S22: which action, on what.
    assert!(told.iter().any(|line| {
        line.contains("kinesis:GetShardIterator on arn:aws:kinesis") && line.contains("AccessDeniedException")
    }));
}

#[test]
fn latest_is_the_same_time_however_often_the_first_reads_fail() {
    for mode in [Mode::Polling, Mode::FanOut] {
        let rig = Rig::behind(local::options(), 2, service());
        for action in ["GetShardIterator", "GetRecords", "SubscribeToShard"] {
            rig.plan().add(action, When::First(5), Fault::refuse("InternalFailure"));
        }
        let mut source = rig.open(mode, Begin::Latest);
        let mut records = Records::default();
        assert_eq!(source.read(&mut records, 1 << 20, 100).ok(), Some(Read::Idle));
        let mut log = Log::default();
        log.change(source.changes());
        let put = rig.put_many(0..100);
        read(&mut source, &mut log, 100);
        Rig::check(&log, &put);
        let starts: Vec<_> = log.partitions.list().iter().map(|state| state.opened.start).collect();
        assert!(matches!(starts[..], [Start::At(one), Start::At(other)] if one == other), "{starts:?}");
    }
}

#[test]
fn lag_is_told_a_shard() {
    let rig = Rig::behind(local::options(), 1, service());
    rig.plan().add("GetRecords", When::Always, Fault::Lag { ms: 4_321 });
    rig.put_many(0..10);
    let mut source = rig.open(Mode::Polling, Begin::Oldest);
    read(&mut source, &mut Log::default(), 10);
    assert_eq!(source.metrics().shards()[0].lag_ms, 4_321);
}

/// The service's rule: one subscriber a shard and consumer. A second process with the consumer's name waits, takes over, and the
/// first goes on later: nothing is lost to either, each has all records.
#[test]
fn one_subscriber_a_shard() {
    let rig = Rig::behind(
        local::options(),
        1,
        Service { one_subscriber: Some(Duration::from_millis(300)), ..Service::default() },
    );
    let put = rig.put_many(0..50);
    let mut sources: Vec<_> = (0..2).map(|_| rig.open(Mode::FanOut, Begin::Oldest)).collect();
    for source in &mut sources {
        let mut log = Log::default();
        read(source, &mut log, 50);
        Rig::check(&log, &put);
    }
}

#[test]
fn what_retention_takes_while_the_source_is_behind_is_told_as_lost() {
    for accept_gap in [false, true] {
        for mode in [Mode::Polling, Mode::FanOut] {
            taken_by_retention(mode, accept_gap);
        }
    }
}

/// Retention takes two records that were not read, while the reader waits for room: by subscription, within one that stays.
fn taken_by_retention(mode: Mode, accept_gap: bool) {
    // The stream says that it keeps nothing: whoever reads on is as far behind as it keeps.
    let rig = Rig::behind(local::options(), 1, Service { retention_hours: Some(0), ..service() });
    // By subscription an event brings all there is, so the rest is put once the reader waits.
    let mut put = rig.put_many(0..if mode == Mode::FanOut { 4 } else { 10 });
    let mut settings = Settings { accept_gap, ..Rig::settings(mode, Begin::Oldest) };
    settings.limits = Limits { records_per_call: 4, buffer_records: 1, ..settings.limits };
    let mut source = rig.open_as(settings);
    let mut log = Log::default();
    // The reader waits until the fourth is taken too.
    read(&mut source, &mut log, 3);
    if mode == Mode::FanOut {
        put.extend(rig.put_many(4..10));
    }
    rig.expire(6);
    if accept_gap {
        read(&mut source, &mut log, 8);
        let bytes: Vec<_> = log.consumed.iter().map(|record| &record.bytes).collect();
        let left: Vec<_> = put[..4].iter().chain(&put[6..]).map(|(_, data)| data).collect();
        assert_eq!(bytes, left, "{mode:?}");
        let gaps = log.changes().filter(|change| matches!(change, Change::Gap { before: Some(_), .. }));
        assert_eq!(gaps.count(), 1, "{mode:?}");
        return;
    }
    let (mut records, mut taken) = (Records::default(), 0);
    let trouble = loop {
        match source.read(&mut records, 1 << 20, 100) {
            Ok(_) => taken += records.len(),
            Err(trouble) => break trouble,
        }
    };
    assert_eq!((taken, trouble.advice()), (1, Advice::Refuse), "{mode:?}: {trouble}");
    assert!(trouble.to_string().contains("what lay between is lost"), "{mode:?}: {trouble}");
    let subscriptions = u64::from(mode == Mode::FanOut);
    assert_eq!(rig.plan().calls("SubscribeToShard"), subscriptions, "{mode:?}");
}
