//! A lane against a stream that fails as the service does.

use super::*;
use proptest::prelude::*;

/// Records of a batch: key, bytes of data.
type Batch = Vec<(u8, usize)>;

/// What becomes of a call: entries that fail, by bits; whether anything is written; whether anything is answered.
#[derive(Clone, Copy, Debug)]
struct Fate {
    failing: u64,
    is_refused: bool,
    is_answered: bool,
    /// Which of the calls under way is answered first.
    turn: usize,
    chance: u64,
}

fn fate() -> impl Strategy<Value = Fate> {
    let failing = prop_oneof![Just(0_u64), any::<u64>(), Just(u64::MAX)];
    (failing, prop::bool::weighted(0.15), prop::bool::weighted(0.85), any::<usize>(), any::<u64>()).prop_map(
        |(failing, is_refused, is_answered, turn, chance)| Fate {
            failing,
            is_refused,
            is_answered,
            turn,
            chance,
        },
    )
}

fn limits(ordered: bool) -> impl Strategy<Value = Limits> {
    (1_usize..8, 20_usize..200, 1_usize..5, 200_usize..4_000, 0_u64..6_000).prop_map(
        move |(call_records, call_bytes, calls, buffer, linger_us)| Limits {
            call_records,
            call_bytes,
            calls,
            buffer,
            linger_us,
            ordered,
        },
    )
}

/// Runs batches through a lane and an unreliable stream; what the stream holds at the end, as (key, number of the record).
fn run(limits: Limits, batches: &[Batch], fates: &[Fate]) -> Vec<(String, usize)> {
    let mut lane = Lane::new(limits);
    let mut to_push: VecDeque<(u64, Option<(u8, usize)>)> = VecDeque::new();
    for (batch, records) in batches.iter().enumerate() {
        to_push.extend(records.iter().map(|&record| (batch as u64, Some(record))));
        to_push.push_back((batch as u64, None));
    }
    let (mut pushed, mut number) = (Vec::<(u64, bool)>::new(), 0);
    let (mut written, mut flying) = (Vec::new(), Vec::<Call>::new());
    let (mut now, mut step, mut frontier) = (0, 0, 0);
    loop {
        while let Some(&(batch, record)) = to_push.front() {
            if let Some((key, size)) = record {
                let key = key.to_string().into_boxed_str();
                let data = format!("{number}{}", " ".repeat(size)).into_bytes().into_boxed_slice();
                let record = Record { key, data };
                if !lane.has_room(record.bytes()) {
                    break;
                }
                lane.push(batch, record, now);
                pushed.push((batch, false));
                number += 1;
            } else {
                lane.seal(batch);
            }
            to_push.pop_front();
        }
        if to_push.is_empty() {
            lane.close();
        }
        let at = loop {
            match lane.next(now) {
                Next::Call(call) => {
                    assert!(call.records.len() <= limits.call_records);
                    let bytes: usize = call.records.iter().map(|record| record.bytes()).sum();
                    assert!(bytes <= limits.call_bytes || call.records.len() == 1);
                    flying.push(call);
                    assert!(flying.len() <= limits.calls);
                    if limits.ordered {
                        let keys: Vec<_> =
                            flying.iter().flat_map(|call| &call.records).map(|record| &record.key).collect();
                        let distinct: BTreeSet<_> = keys.iter().collect();
                        assert_eq!(keys.len(), distinct.len(), "two records of a key are under way");
                    }
                }
                Next::At(at) => {
                    assert!(at > now);
                    break Some(at);
                }
                Next::Idle => break None,
            }
        };
        if flying.is_empty() {
            match at {
                Some(at) => now = at,
                None => break,
            }
            continue;
        }
        // Faults end, as outages do; until then they come in the order of the list.
        let fate = fates.get(step).copied().unwrap_or(Fate {
            failing: 0,
            is_refused: false,
            is_answered: true,
            turn: 0,
            chance: 0,
        });
        step += 1;
        now += fate.chance % 3_000;
        let call = flying.remove(fate.turn % flying.len());
        if fate.is_refused {
            assert_eq!(lane.answered(call.id, Answer::Failed, now, fate.chance), None);
        } else {
            let entries: Vec<bool> =
                (0..call.records.len()).map(|at| fate.failing >> (at % 64) & 1 == 0).collect();
            for (record, _) in call.records.iter().zip(&entries).filter(|(_, is_done)| **is_done) {
                let text = String::from_utf8(record.data.to_vec()).expect("digits");
                written.push((record.key.to_string(), text.trim_end().parse().expect("a number")));
            }
            if fate.is_answered {
                for (record, _) in call.records.iter().zip(&entries).filter(|(_, is_done)| **is_done) {
                    let text = String::from_utf8(record.data.to_vec()).expect("digits");
                    pushed[text.trim_end().parse::<usize>().expect("a number")].1 = true;
                }
                assert_eq!(lane.answered(call.id, Answer::Entries(&entries), now, fate.chance), None);
            } else {
                assert_eq!(lane.answered(call.id, Answer::Failed, now, fate.chance), None);
            }
        }
        // The naive frontier: the batch of the first record without its acknowledgement.
        let open = pushed.iter().find(|(_, is_done)| !is_done).map(|(batch, _)| *batch);
        let naive = open.unwrap_or_else(|| to_push.front().map_or(batches.len() as u64, |(batch, _)| *batch));
        assert_eq!(lane.frontier(), naive, "after call {step}");
        assert!(lane.frontier() >= frontier, "the frontier goes back");
        frontier = lane.frontier();
    }
    assert!(to_push.is_empty() && lane.is_empty(), "something is left behind");
    assert_eq!(lane.waiting(), (0, 0));
    assert_eq!(lane.frontier(), batches.len() as u64);
    written
}

fn batches() -> impl Strategy<Value = Vec<Batch>> {
    prop::collection::vec(prop::collection::vec((0_u8..6, 0_usize..60), 0..12), 0..8)
}

proptest! {
    /// K1, K3, K16: every record is there, and no batch counts as delivered before it is.
    #[test]
    fn everything_arrives_whatever_fails(
        limits in prop_oneof![limits(false), limits(true)],
        batches in batches(),
        fates in prop::collection::vec(fate(), 0..60),
    ) {
        let written = run(limits, &batches, &fates);
        let numbers: BTreeSet<_> = written.iter().map(|(_, number)| *number).collect();
        prop_assert_eq!(numbers.len(), batches.iter().map(Vec::len).sum::<usize>());
    }

    /// K2: a reader that drops what it has seen sees the records of a key in their order.
    #[test]
    fn a_key_keeps_its_order(
        limits in limits(true),
        batches in batches(),
        fates in prop::collection::vec(fate(), 0..60),
    ) {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (key, number) in run(limits, &batches, &fates) {
            let last = seen.entry(key).or_insert(number);
            prop_assert!(number >= *last, "{} after {}", number, last);
            *last = number;
        }
    }
}

const LIMITS: Limits = Limits {
    call_records: 3,
    call_bytes: 1_000,
    calls: 2,
    buffer: 1_000_000,
    linger_us: 5_000,
    ordered: true,
};

fn record(key: &str) -> Record {
    Record { key: key.into(), data: b"x".to_vec().into() }
}

fn call(lane: &mut Lane, now: u64) -> Call {
    match lane.next(now) {
        Next::Call(call) => call,
        other => panic!("no call, but {other:?}"),
    }
}

#[test]
fn a_record_waits_for_company_only_behind_a_call_and_never_longer_than_the_linger() {
    let mut lane = Lane::new(LIMITS);
    lane.push(0, record("a"), 0);
    assert_eq!(call(&mut lane, 0).records.len(), 1, "nothing is under way: at once");
    lane.push(0, record("b"), 100);
    lane.push(0, record("c"), 4_000);
    assert!(matches!(lane.next(4_000), Next::At(5_100)));
    assert_eq!(call(&mut lane, 5_100).records.len(), 2);
}

#[test]
fn a_full_call_waits_for_nobody() {
    let mut lane = Lane::new(LIMITS);
    lane.push(0, record("a"), 0);
    call(&mut lane, 0);
    for key in ["b", "c", "d"] {
        lane.push(0, record(key), 0);
    }
    assert_eq!(call(&mut lane, 0).records.len(), 3);
}

#[test]
fn a_failed_record_holds_back_its_key_and_nobody_else() {
    let mut lane = Lane::new(LIMITS);
    for key in ["a", "b", "a"] {
        lane.push(0, record(key), 0);
    }
    lane.seal(0);
    let first = call(&mut lane, 0);
    assert_eq!(first.records.len(), 2);
    assert_eq!(lane.answered(first.id, Answer::Entries(&[false, true]), 10, 7), None);
    lane.push(1, record("c"), 20);
    let second = call(&mut lane, 20);
    assert_eq!(&*second.records[0].key, "c");
    assert_eq!((second.records.len(), second.again, lane.frontier()), (1, 0, 0));
    assert_eq!(lane.answered(second.id, Answer::Entries(&[true]), 30, 7), None);
    let Next::At(at) = lane.next(40) else { panic!("the failed record is due later") };
    let third = call(&mut lane, at);
    assert!(Arc::ptr_eq(&third.records[0], &first.records[0]), "the same bytes");
    assert_eq!(third.again, 1);
    assert_eq!(lane.answered(third.id, Answer::Entries(&[true]), at, 7), None);
    assert_eq!(&*call(&mut lane, at).records[0].key, "a");
}

#[test]
fn a_stream_that_fails_is_asked_by_one_call_at_a_time_and_ever_less_often() {
    let mut lane = Lane::new(Limits { call_records: 1, ..LIMITS });
    for key in ["a", "b", "c"] {
        lane.push(0, record(key), 0);
    }
    let (first, second) = (call(&mut lane, 0), call(&mut lane, 0));
    assert_eq!(lane.answered(first.id, Answer::Failed, 0, u64::MAX), None);
    assert_eq!(lane.answered(second.id, Answer::Failed, 0, u64::MAX), None);
    let (mut now, mut pauses) = (0, Vec::new());
    for chance in 0..20 {
        let Next::At(at) = lane.next(now) else { panic!("a pause") };
        pauses.push(at - now);
        now = at;
        let probe = call(&mut lane, now);
        assert!(matches!(lane.next(now), Next::Idle), "one call at a time");
        assert_eq!(lane.answered(probe.id, Answer::Failed, now, chance), None);
    }
    assert!(pauses[0] < 60_000 && pauses[19] >= PAUSE_STREAM_US / 2, "{pauses:?}");
    assert!(pauses.iter().all(|&pause| pause <= PAUSE_STREAM_US));
}

#[test]
fn what_waits_is_bounded_and_an_answer_makes_room() {
    let mut lane = Lane::new(Limits { buffer: 3 * (OVERHEAD + 2), ..LIMITS });
    for key in ["a", "b", "c"] {
        assert!(lane.has_room(2));
        lane.push(0, record(key), 0);
    }
    assert!(!lane.has_room(2));
    let first = call(&mut lane, 0);
    assert_eq!(lane.answered(first.id, Answer::Entries(&[true, false, true]), 0, 0), None);
    assert!(
        lane.has_room(2) && !lane.has_room(200),
        "what is behind a record that failed still costs its place"
    );
    assert!(Lane::new(LIMITS).has_room(usize::MAX / 2), "a large one alone");
}

#[test]
fn a_call_that_is_too_large_for_its_place_is_halved_until_it_fits() {
    let mut lane = Lane::new(Limits { call_records: 500, calls: 1, ..LIMITS });
    for number in 0..100 {
        lane.push(0, record(&number.to_string()), 0);
    }
    lane.seal(0);
    let mut largest = 0;
    while !lane.is_empty() {
        let Next::Call(call) = lane.next(0) else { panic!("it is tried at once") };
        let bytes: usize = call.records.iter().map(|record| record.bytes()).sum();
        if bytes > 40 {
            assert_eq!(lane.answered(call.id, Answer::Invalid, 0, 0), None);
            assert_eq!(lane.frontier(), 0);
        } else {
            largest = largest.max(bytes);
            assert_eq!(lane.answered(call.id, Answer::Entries(&vec![true; call.records.len()]), 0, 0), None);
        }
    }
    assert!(largest > 20, "{largest}");
    assert_eq!(lane.frontier(), 1);
}

/// A call of these keys is made, and answered so.
#[track_caller]
fn answer(lane: &mut Lane, now: u64, keys: &[&str], answer: Answer<'_>) -> Option<u64> {
    let call = call(lane, now);
    assert_eq!(call.records.iter().map(|record| &*record.key).collect::<Vec<_>>(), keys);
    lane.answered(call.id, answer, now, 0)
}

#[test]
fn a_record_that_is_refused_while_others_are_taken_is_handed_out_and_stays_until_it_is_replaced() {
    let mut lane = Lane::new(Limits { calls: 1, ..LIMITS });
    for key in ["a", "bad", "bad"] {
        lane.push(0, record(key), 0);
    }
    lane.push(1, record("c"), 0);
    lane.seal(0);
    lane.seal(1);
    assert_eq!(answer(&mut lane, 0, &["a", "bad", "c"], Answer::Invalid), None);
    assert_eq!(answer(&mut lane, 0, &["a"], Answer::Entries(&[true])), None);
    assert_eq!(answer(&mut lane, 0, &["bad", "c"], Answer::Invalid), None);
    let index = answer(&mut lane, 0, &["bad"], Answer::Invalid).expect("it is the record's fault");
    assert_eq!(answer(&mut lane, 0, &["c"], Answer::Entries(&[true])), None);
    assert!(matches!(lane.next(u64::MAX / 2), Next::Idle), "neither it nor what is behind it is sent");
    assert_eq!((lane.frontier(), lane.waiting().0), (0, 2));
    lane.replace(index, 0);
    assert_eq!(answer(&mut lane, 0, &["bad"], Answer::Entries(&[true])), None);
    assert_eq!((lane.frontier(), lane.is_empty()), (2, true));
}

#[test]
fn where_nothing_is_taken_no_record_is_at_fault() {
    let mut lane = Lane::new(Limits { call_records: 2, calls: 2, ..LIMITS });
    lane.push(0, record("early"), 0);
    lane.push(0, record("a"), 0);
    // Taken, but in a call that was made before the fault was seen: it says nothing.
    let first = call(&mut lane, 0);
    for key in ["x", "y", "z"] {
        lane.push(1, record(key), 0);
    }
    let second = call(&mut lane, 0);
    assert_eq!(lane.answered(second.id, Answer::Invalid, 0, 0), None);
    assert_eq!(lane.answered(first.id, Answer::Entries(&[true, true]), 0, 0), None);
    let mut now = 0;
    let mut alone = BTreeSet::new();
    for chance in 0..200 {
        let call = match lane.next(now) {
            Next::Call(call) => call,
            Next::At(at) => {
                now = at;
                continue;
            }
            Next::Idle => panic!("what is refused is tried again"),
        };
        if call.records.len() == 1 {
            alone.insert(call.records[0].key.clone());
        }
        assert_eq!(lane.answered(call.id, Answer::Invalid, now, chance), None);
    }
    assert_eq!(alone.len(), 3, "each had its turn: {alone:?}");
    assert_eq!((lane.frontier(), lane.waiting().0), (1, 3));
    // Whichever comes next is taken, and shows that the stream takes some.
    let good = loop {
        match lane.next(now) {
            Next::Call(call) => break call,
            Next::At(at) => now = at,
            Next::Idle => panic!("something is left"),
        }
    };
    assert_eq!(lane.answered(good.id, Answer::Entries(&vec![true; good.records.len()]), now, 0), None);
    let refused = loop {
        match lane.next(now) {
            Next::Call(call) => {
                if let Some(index) = lane.answered(call.id, Answer::Invalid, now, 0) {
                    break index;
                }
            }
            Next::At(at) => now = at,
            Next::Idle => panic!("something is left"),
        }
    };
    // Its reject could not be handed over: it is tried again, and may be taken after all.
    lane.put_off(refused, now, 0);
    while !lane.is_empty() {
        match lane.next(now) {
            Next::Call(call) => {
                let entries = vec![true; call.records.len()];
                assert_eq!(lane.answered(call.id, Answer::Entries(&entries), now, 0), None);
            }
            Next::At(at) => now = at,
            Next::Idle => panic!("something is left"),
        }
    }
}

#[test]
fn a_record_from_aside_holds_the_frontier_of_what_comes_after_it() {
    let mut lane = Lane::new(LIMITS);
    lane.seal(0);
    lane.seal(1);
    let aside = lane.push_aside(record("a"), 0);
    assert_eq!(lane.frontier(), 2);
    lane.push(2, record("b"), 0);
    lane.seal(2);
    let call = call(&mut lane, 0);
    assert!(Arc::ptr_eq(&call.records[0], &aside));
    assert_eq!(lane.answered(call.id, Answer::Entries(&[false, true]), 0, 0), None);
    assert_eq!(lane.frontier(), 2);
}
