//! Tables computed by hand for memory and eviction: docs/semantics.md §5.

use cartguard_oracle::Bounds;
use cartguard_oracle::script::check_with;

/// One shard. A key with one entry is 110 bytes.
fn memory(bytes: u64) -> Bounds {
    Bounds { shards: 1, memory: bytes, ..Bounds::default() }
}

#[test]
fn the_key_with_the_oldest_update_is_evicted() {
    let counts = check_with(
        &memory(230),
        "00:00 card=A 1
         00:01 card=B 1
         00:02 card=A 1                       // 230 bytes: not more than it may use
         00:03 card=C 1 => card.count_1h=0    // B goes, the horizon is its newest, 00:01
         00:04 card=C 1 => card.count_1h=1    // nothing was lost when C was created; A goes: 00:02
         00:05 card=A 1 => card.count_1h=0+degraded
         00:06 card=B 1 => card.count_4s=0 card.count_4001ms=0+degraded card.run_declined=0+degraded",
        "card.seconds_since_last=null+degraded card.seconds_since_first=null+degraded",
    );
    assert_eq!((counts.keys, counts.evicted_keys), (2, 3));
}

#[test]
fn what_a_key_can_know_is_set_when_it_is_created() {
    check_with(
        &memory(230),
        "00:00 card=A 1
         00:05 card=B 1
         00:01 card=A 1
         00:01 card=C 1                       // B goes: horizon 00:05
         00:06 card=C 1                       // A goes, of an older newest: still 00:05
         00:01 card=D 1
         00:06 card=D 1 => card.seconds_since_last=5+degraded card.count_1s=0 card.count_1h=1+degraded
         00:07 card=D 1 => card.seconds_since_last=1 card.seconds_since_first=6+degraded
         00:05 card=D 1
         00:05 card=D 1 => card.seconds_since_last=0
         00:04.999 card=D 1 => card.seconds_since_last=3.999+degraded
         00:07 card=D 1",
        "card.count_2s=2 card.count_2001ms=4+degraded card.seconds_since_last[inclusive]=0",
    );
}

#[test]
fn entities_share_a_shard_and_go_in_order() {
    // Card and device of one event: the device's update evicts the card's key of the event before, then the next
    // finds nothing.
    let counts = check_with(
        &memory(220),
        "00:00 card=A device=X 1
         00:01 card=B 1           // evicts A, updated as (0, card)
         00:02 device=X 1         // grows to 230: evicts B
         00:03 card=B device=X 1  // B is created: evicts X; X is created: 220",
        "card.count_1h=0+degraded device.count_1h=0+degraded",
    );
    assert_eq!((counts.keys, counts.evicted_keys), (2, 3));
}

#[test]
fn the_key_just_updated_stays() {
    let counts = check_with(
        &memory(10),
        "00:00 card=A 1
         00:01 card=A 1",
        "card.count_1h=1",
    );
    assert_eq!((counts.keys, counts.evicted_keys, counts.bytes), (1, 0, 120));
}

#[test]
fn a_late_event_is_no_update() {
    let bounds = Bounds { lateness_ms: 1000, ..memory(230) };
    check_with(
        &bounds,
        "00:10 card=A 1
         00:10 card=B 1
         00:05 card=A 1 => late
         00:11 card=B 1
         00:11 card=C 1           // A goes, though it was seen after B's first
         00:12 card=B 1 => card.count_1h=2",
        "",
    );
}

#[test]
fn the_sweep_frees_keys_without_loss() {
    let bounds = |q: u64| Bounds { forget_after_ms: 60_000, sweep_every: q * 1024, ..memory(230) };
    let history = "00:00 card=A 1
                   01:00 card=B 1 => card.count_1h=0
                   01:01 card=B 1 => card.count_1h=1   // sequence 2
                   01:02 card=C 1";
    let counts = check_with(&bounds(2), history, "card.count_1h=0");
    assert_eq!((counts.keys, counts.evicted_keys), (2, 0), "A is swept with part 1, at sequence 2");
    let counts = check_with(&bounds(4), history, "card.count_1h=0");
    assert_eq!((counts.keys, counts.evicted_keys), (2, 1), "A is evicted");
    // Past a multiple is as good as at it.
    let history = "00:00 card=A 1\nreject\nreject\n01:00 card=B 1";
    assert_eq!(check_with(&bounds(2), history, "card.count_1h=0").keys, 1);
    assert_eq!(check_with(&bounds(4), history, "card.count_1h=0").keys, 2);
    // Part 1 had its turn at sequence 1 already.
    let history = "00:00 card=A 1\n00:01 card=C 1\n01:00 card=B 1\n01:01 card=B 1";
    assert_eq!(check_with(&bounds(1), history, "card.count_1h=1").evicted_keys, 1);
}
