//! Tables computed by hand, one for each rule of docs/semantics.md, both sides of each edge.

use cartguard_oracle::plan::event_time;
use cartguard_oracle::script::{check, check_with};
use cartguard_oracle::{Bounds, Counts};

// §1

#[test]
fn an_early_event_is_held_to_arrival_and_skew() {
    assert_eq!(event_time(1600, Some(1000), 600), (1600, false));
    assert_eq!(event_time(1601, Some(1000), 600), (1600, true));
    assert_eq!(event_time(9999, None, 600), (9999, false));
}

#[test]
fn an_id_is_a_duplicate_within_the_span() {
    let bounds = Bounds { dedupe_span_ms: 60_000, ..Bounds::default() };
    check_with(
        &bounds,
        "00:00     card=A #1 1
         00:59.999 card=A #1 1 => duplicate
         01:00     card=A #1 1 => card.count_1h=1
         01:59.999 card=A #1 1 => duplicate           // its t0 is 01:00 now
         05:00     card=B #2 1
         04:00     card=A #3 1 => card.count_1h=2     // accepted with a time out of the span
         04:00     card=A #3 1 => card.count_1h=3",
        "",
    );
}

#[test]
fn duplicates_move_the_stream_time() {
    let bounds = Bounds { dedupe_span_ms: 60_000, ..Bounds::default() };
    check_with(
        &bounds,
        "00:00 card=A #1 1
         00:30 card=A #2 1
         01:29 card=A #2 1 => duplicate
         00:00 card=A #1 1 => card.count_1h=1",
        "",
    );
}

#[test]
fn a_shard_of_ids_forgets_the_first_accepted() {
    let bounds = Bounds { dedupe_shards: 1, dedupe_ids_per_shard: 2, ..Bounds::default() };
    let counts = check_with(
        &bounds,
        "00:09 card=A #1 1
         00:01 card=A #2 1
         00:02 card=A #1 1 => duplicate
         00:03 card=A #3 1
         00:04 card=A #2 1 => duplicate
         00:05 card=A #1 1 => card.count_1h=2",
        "",
    );
    assert_eq!((counts.ids, counts.evicted_ids), (2, 2));
}

// §2

#[test]
fn a_key_is_forgotten() {
    let bounds = Bounds { forget_after_ms: 60_000, ..Bounds::default() };
    check_with(
        &bounds,
        "00:00     card=A 1
         00:59.999 card=A 1 => card.count_1h=1 card.seconds_since_first=59.999
         01:59.999 card=A 1 => card.count_1h=0 card.seconds_since_first=null
         01:00     card=B 1
         02:59     card=C 1
         02:00     card=B 1 => card.count_1h=0      // by stream time, not by its own",
        "",
    );
}

#[test]
fn late_is_decided_per_key() {
    let bounds = Bounds { lateness_ms: 10_000, ..Bounds::default() };
    check_with(
        &bounds,
        "01:00     card=A device=X 1
         00:50     card=A device=Y 2 => card.count_1h=0
         00:49.999 card=A device=Y 4 => late card.count_1h=0 device.count_1h=0
         00:50     card=B device=Y 8 => card.count_1h=0 device.count_1h=2
         01:00     card=A device=Z 8 => card.sum_amount_1h=3 device.count_1h=0",
        "",
    );
}

#[test]
fn a_late_event_reads_what_is_kept() {
    let bounds = Bounds { lateness_ms: 10_000, ..Bounds::default() };
    // L = 20 s, H = 30 s: the second event expires the first one (time <= newest - H).
    check_with(
        &bounds,
        "00:30 card=A 1
         01:00 card=A 2
         00:40 card=A 4 => late card.count_20s=0 card.count_20s[inclusive]=1 card.seconds_since_last=10+saturated",
        "",
    );
    check_with(
        &bounds,
        "00:30 card=A 1
         00:59.999 card=A 2
         00:40 card=A 4 => late card.count_20s=1 card.count_20s[inclusive]=2",
        "",
    );
}

#[test]
fn only_what_lies_in_the_longest_window_is_kept() {
    let bounds = Bounds { lateness_ms: 0, ..Bounds::default() };
    let history = "00:00 card=A device=X 1
                   00:10 card=A device=Y 1";
    let counts = check_with(&bounds, history, "card.distinct_device_10s=0");
    assert_eq!((counts.entries, counts.values, counts.bytes), (1, 1, 115));
    let counts = check_with(&bounds, history, "card.distinct_device_10s[delay=1ms]=1");
    assert_eq!((counts.entries, counts.values, counts.bytes), (2, 2, 130));
    // Without windows and lateness H is 0, and t = newest - H is not kept.
    let counts = check_with(&bounds, history, "card.seconds_since_last=10");
    assert_eq!((counts.keys, counts.entries, counts.bytes), (1, 0, 100));
}

// §3

#[test]
fn a_window_forgets_at_its_far_edge() {
    check(
        "00:00 card=A 12.00
         04:59 card=A  3.00
         05:01 card=A  0.50",
        "card.count_5m=1 card.sum_amount_5m=3.00",
    );
}

#[test]
fn both_edges_to_the_millisecond() {
    check(
        "00:00     card=A 1
         00:00.001 card=A 2
         05:00     card=A 4
         05:00.001 card=A 8
         05:00     card=A 16 => card.sum_amount_5m=6 card.sum_amount_5m[inclusive]=22",
        "",
    );
    check(
        "00:00     card=A 1
         00:00.001 card=A 2
         05:00     card=A 4
         05:00.001 card=A 8
         06:00     card=A 16 => card.sum_amount_5m[delay=1m]=6",
        "",
    );
}

#[test]
fn aggregates_of_nothing() {
    check(
        "00:00 card=A 1",
        "card.count_1h=0 card.sum_amount_1h=0 card.mean_amount_1h=null card.min_amount_1h=null
         card.max_amount_1h=null card.std_amount_1h=null card.zscore_amount_1h=null card.distinct_device_1h=0
         card.share_declined_1h=null card.ratio_count_1h_1d=null card.run_declined=0
         card.seconds_since_last_1h=null card.seconds_since_last=null card.seconds_since_first=null
         card.count_1h[inclusive]=1 card.seconds_since_first[inclusive]=0 card.std_amount_1h[inclusive]=0
         card.mean_amount_1h[or=-1]=-1 card.count_1h[or=7]=0",
    );
}

#[test]
fn an_absent_key_is_missing_counts_too() {
    check(
        "00:00 card=A 1
         00:01 card=  1
         00:02 device=X 1",
        "card.count_1h=null card.count_1h[inclusive]=null card.count_1h[or=0]=0 card.seconds_since_first=null",
    );
}

#[test]
fn aggregates_of_three_amounts() {
    check(
        "00:00 card=A 1.00
         00:01 card=A 2.00
         00:02 card=A 4.00
         00:03 card=A 5.00",
        // n 3, Σx 700, Σx² 210000: 3 * 210000 - 490000 = 140000; 3 * 500 - 700 = 800.
        "card.count_1h=3 card.sum_amount_1h=7 card.mean_amount_1h=7/3 card.min_amount_1h=1 card.max_amount_1h=4
         card.std_amount_1h=√14/9 card.zscore_amount_1h=√640000/140000 card.max_amount_1h[inclusive]=5
         card.mean_amount_1h[inclusive]=3 card.ratio_sum_amount_2s_1h=4/7 card.ratio_mean_amount_2s_1h=12/7
         card.ratio_std_amount_3s_1h=√9/14",
    );
}

#[test]
fn numbers_are_published_as_floats_in_their_own_unit() {
    check(
        "00:00 card=A 1 items:0.1
         00:01 card=A 1 items:-0.3
         00:02 card=A 1
         00:03 card=A 1 items:2",
        "card.sum_items_1h=-0.2 card.min_items_1h=-0.3 card.max_items_1h=0.1 card.mean_items_1h=-0.1
         card.zscore_items_1h=10.5 card.count_1h=3",
    );
}

#[test]
fn z_score_without_spread_and_without_x() {
    check(
        "00:00 card=A 3 items:1
         00:01 card=A 3 items:2
         00:02 card=A 9 => card.zscore_amount_1h=0 card.zscore_items_1h=null card.zscore_items_1h[or=5]=5",
        "",
    );
    // Its own amount takes part where inclusive: n 3, Σx 15, Σx² 99; 3 * 9 - 15 = 12, 297 - 225 = 72.
    check(
        "00:00 card=A 3
         00:01 card=A 3
         00:02 card=A 9",
        "card.zscore_amount_1h[inclusive]=√2/1",
    );
}

#[test]
fn conditions_and_missing_operands() {
    check(
        "00:00 card=A device=X 1 +declined
         00:01 card=A device=Y 2
         00:02 card=A device=X 4 +declined
         00:03 card=A device=Z 8 +declined +foreign",
        "card.count_1h[where=declined]=2 card.sum_amount_1h[where=declined]=5 card.share_declined_1h=2/3
         card.distinct_device_1h[where=declined]=1 card.distinct_device_1h=2 card.run_declined=1
         card.run_foreign=0 card.run_declined[inclusive]=2 card.seconds_since_last[where=foreign]=null
         card.seconds_since_last_1h[where=declined]=1 card.ratio_count_2s_1h[where=declined]=1/2
         card.share_foreign_1h=0 card.ratio_count_2s_1h[where=foreign]=null",
    );
}

#[test]
fn distinct_values_in_the_window() {
    check(
        "00:00 card=A device=X 1
         00:01 card=A device=Y 1
         00:02 card=A device=X 1
         00:03 card=A 1
         00:02 card=A device=Z 1 => card.distinct_device_2s=2
         00:01 card=A device=Z 1 => card.distinct_device_1s=1 card.distinct_device_1s[inclusive]=2",
        "",
    );
}

#[test]
fn a_run_ends_at_the_longest_window() {
    check(
        "00:00 card=A 1 +declined
         00:01 card=A 1 +declined
         00:02 card=A 1 +declined
         00:10 card=A 1",
        "card.run_declined=1 card.count_9s=1",
    );
}

#[test]
fn seconds_since() {
    check(
        "01:00     card=A 1
         02:00     card=A 1
         02:00.500 card=A 1 => card.seconds_since_last=0.5 card.seconds_since_first=60.5
         01:30     card=A 1 => card.seconds_since_last=30 card.seconds_since_first=30
         00:59     card=A 1 => card.seconds_since_last=null card.seconds_since_first=null
         03:00     card=A 1 => card.seconds_since_last_1m=59.5 card.seconds_since_last_1m[delay=30s]=59.5
         03:00     card=A 1 => card.seconds_since_last=0 card.seconds_since_first=121",
        "",
    );
    // 1 d later the entries have expired; first and newest have not.
    check(
        "00:00   card=A 1
         00:07   card=A 1
         2d00:00 card=A 1",
        "card.seconds_since_last=172793 card.seconds_since_first=172800 card.seconds_since_last_1h=null",
    );
}

#[test]
fn order_within_an_event_is_the_entities() {
    // The record's own number is used up by a reject.
    check(
        "00:00 card=A 1
         reject
         00:00 card=A 2 => card.count_1m=1
         00:00 card=A 4 => card.sum_amount_1m=3 card.seconds_since_last=0",
        "",
    );
}

// §4

/// L = 1000 s, so nothing expires; four entries fit.
fn four() -> Bounds {
    Bounds { entries_per_key: 4, ..Bounds::default() }
}

#[test]
fn the_oldest_half_becomes_spans_and_near_ones_merge() {
    // The fifth entry: ceil(5 / 2) = 3 become spans. 00:00 and 00:01 merge (100 * 1 s <= 101 - 1 s), with 00:02
    // they do not (100 * 2 s > 101 - 2 s).
    let history = "00:00 card=A 1
                   00:01 card=A 2
                   00:02 card=A 4
                   01:40 card=A 8
                   01:41 card=A 16";
    let counts = check_with(&four(), history, "card.count_1h=4");
    assert_eq!((counts.entries, counts.spans), (2, 2));
    assert_eq!(counts.bytes, 100 + 2 * 10 + 2 * 20);
    // One millisecond less, and they are apart.
    let counts = check_with(&four(), &history.replace("01:41 ", "01:40.999 "), "card.count_1h=4");
    assert_eq!((counts.entries, counts.spans), (2, 3));
}

#[test]
fn a_span_takes_part_by_its_last_time() {
    let read = |at: &str, wanted: &str| {
        let history = format!(
            "00:00 card=A 1
             00:01 card=A 2
             00:02 card=A 4
             01:40 card=A 8
             01:41 card=A 16
             {at} card=A 32"
        );
        check_with(&four(), &history, &format!("{wanted} card.count_1h=5"));
    };
    // The span [0 s, 1 s]: e at -1 ms, 0, 999 ms and 1 s.
    read("01:41", "card.sum_amount_101001ms=31 card.min_amount_101001ms=1");
    read("01:41", "card.sum_amount_101s=31+saturated card.mean_amount_101s=31/5+saturated");
    read("01:41", "card.sum_amount_100001ms=31+saturated");
    read("01:41", "card.sum_amount_100s=28 card.seconds_since_last_100s=0");
    // m at 0 s, 999 ms, 1 s.
    read("01:41", "card.sum_amount_1h[delay=101s]=0+saturated");
    read("01:41", "card.sum_amount_1h[delay=100001ms]=0+saturated");
    read("01:41", "card.sum_amount_1h[delay=100s]=3 card.max_amount_1h[delay=100s]=2");
    // Seconds since: by its first across m, by its last otherwise.
    read("01:41", "card.seconds_since_last_1h[delay=100001ms]=101+saturated");
    read("01:41", "card.seconds_since_last_1h[delay=100s]=100");
    read("01:41", "card.seconds_since_last_500ms[delay=100100ms]=null+saturated");
    read("01:41", "card.share_declined_101s=0+saturated card.ratio_count_101s_200s=1+saturated");
}

#[test]
fn an_old_event_goes_to_the_spans() {
    let start = "00:00 card=A 1
                 00:01 card=A 2
                 00:02 card=A 4
                 01:40 card=A 8
                 01:41 card=A 16";
    let with = |line: &str| {
        check_with(&four(), &format!("{start}\n{line} card=A 32\n02:00 card=A 1"), "card.count_1h=6")
    };
    // Into [0, 1 s]: four, and the last event makes five; two of three entries become spans.
    assert_eq!(counts(with("00:00.500")), (1, 4));
    // A span of its own between [0, 1] and [2, 2] makes five: one of two entries becomes a span. At 101 s
    // [0, 1] and 1.5 do not merge (150 > 99.5), 1.5 and 2 do (50 <= 99).
    let history = format!("{start}\n00:01.500 card=A 32");
    assert_eq!(counts(check_with(&four(), &history, "card.count_1h=2")), (1, 3));
    // Not older than the newest span: an entry; two of three become spans, and 2 merges with 2.
    let history = format!("{start}\n00:02 card=A 32");
    assert_eq!(counts(check_with(&four(), &history, "card.count_1h=3")), (1, 3));
}

fn counts(counts: Counts) -> (u64, u64) {
    (counts.entries, counts.spans)
}

#[test]
fn a_span_expires_by_its_last_time() {
    let bounds = Bounds { lateness_ms: 0, ..four() };
    let at = |time: &str, wanted: &str| {
        let times = ["00:00", "00:01", "00:02", "01:40", "01:41", time];
        let history: String = times.map(|time| format!("{time} card=A 1")).join("\n");
        counts(check_with(&bounds, &history, wanted))
    };
    // H = 119 s. The span [0, 1 s] is there still, which makes five and two more spans; or it is gone.
    assert_eq!(at("01:59.999", "card.count_119s=5+saturated"), (1, 4));
    assert_eq!(at("02:00", "card.count_119s=3"), (3, 1));
}

#[test]
fn a_run_through_spans() {
    let run = |declined: [bool; 5], wanted: &str| {
        let times = ["00:00", "00:01", "00:02", "01:40", "01:41"];
        let lines = times
            .iter()
            .zip(declined)
            .map(|(time, declined)| format!("{time} card=A 1{}\n", if declined { " +declined" } else { "" }));
        let history: String = lines.chain(["02:00 card=A 1\n".to_owned()]).collect();
        check_with(&four(), &history, wanted);
    };
    let long = "card.count_1h=5";
    run([true; 5], &format!("card.run_declined=5 {long}"));
    run([true, true, true, true, false], &format!("card.run_declined=0 {long}"));
    run([true, true, false, true, true], &format!("card.run_declined=2 {long}"));
    run([true, false, true, true, true], &format!("card.run_declined=3+saturated {long}"));
    run([false, false, true, true, true], &format!("card.run_declined=3 {long}"));
    // L = 119.5 s: e lies across the span [0, 1 s].
    run([true; 5], "card.run_declined=3+saturated card.count_119500ms=5+saturated");
    run([false, false, true, true, true], "card.run_declined=3 card.count_119500ms=5+saturated");
    // e on its first event: that one is out of the window, too.
    run([true; 5], "card.run_declined=3+saturated card.count_120s=5+saturated");
    run([true; 5], "card.run_declined=5 card.count_120001ms=5");
}

#[test]
fn a_run_stops_at_a_span_across_the_event() {
    check_with(
        &four(),
        "00:00 card=A 1 +declined
         00:01 card=A 1 +declined
         00:02 card=A 1 +declined
         01:40 card=A 1 +declined
         01:41 card=A 1 +declined
         00:00.500 card=A 1 +declined",
        "card.run_declined=0+saturated card.run_declined[inclusive]=1+saturated card.count_1h=0+saturated
         card.count_1h[inclusive]=1+saturated card.seconds_since_last=0.5+saturated",
    );
}

#[test]
fn distinct_with_spans() {
    let history = "00:00 card=A device=X 1
                   00:01 card=A device=Y 1
                   00:02 card=A device=Z 1
                   01:40 card=A device=X 1
                   01:41 card=A device=Q 1";
    // By `last` alone: X at 100 s, Y 1 s, Z 2 s, Q 101 s.
    let after = |wanted: &str| check_with(&four(), &format!("{history}\n01:41 card=A 1"), wanted);
    after("card.distinct_device_1h=4");
    after("card.distinct_device_100001ms=4");
    after("card.distinct_device_100s=3");
    // X and Q were seen after m = 2 s, by no entry before it; a span takes part.
    after("card.distinct_device_1h[delay=99s]=2+saturated");
    // m = 1 ms before all.
    after("card.distinct_device_1h[delay=101001ms]=0");
    // m = 100 s: only Q was seen after it, and spans take part.
    after("card.distinct_device_1h[delay=1s]=3+saturated");
    // (99 s, 100 s]: no span takes part.
    after("card.distinct_device_1s[delay=1s]=1");
}

#[test]
fn distinct_values_beyond_their_number() {
    let bounds = Bounds { distinct_max: 2, ..Bounds::default() };
    let history = "00:00 card=A device=X 1
                   00:01 card=A device=Y 1
                   00:02 card=A device=Z 1
                   00:03 card=A device=Y 1";
    let counts = check_with(&bounds, history, "card.distinct_device_1h=2+saturated");
    assert_eq!(counts.values, 2);
    check_with(
        &bounds,
        &format!("{history}\n00:04 card=A device=Q 1"),
        "card.distinct_device_2s=1 card.distinct_device_2001ms=1+saturated
         card.distinct_device_2s[inclusive]=1+saturated card.distinct_device_1h=2+saturated",
    );
}

#[test]
fn a_place_of_a_distinct_value_becomes_free() {
    let bounds = Bounds { distinct_max: 2, lateness_ms: 0, ..Bounds::default() };
    // L = H = 10 s: at 10 s, X is gone before Z seeks a place.
    check_with(
        &bounds,
        "00:00 card=A device=X 1
         00:01 card=A device=Y 1
         00:10 card=A device=Z 1
         00:10 card=A device=Q 1",
        "card.distinct_device_10s=2 card.distinct_device_10s[inclusive]=2+saturated",
    );
}

#[test]
fn a_sum_stays_at_the_end_of_64_bits() {
    check(
        "00:00 card=A 92233720368547758.06
         00:01 card=A 0.01
         00:02 card=A 0.01 => card.sum_amount_1h=92233720368547758.07
         00:03 card=A 0.01 => card.sum_amount_1h=92233720368547758.07+saturated card.sum_amount_2s=0.01
         00:04 card=A -92233720368547758.07
         00:05 card=A -92233720368547758.07
         00:06 card=A -92233720368547758.07
         00:07 card=A 1 => card.sum_amount_1h=-92233720368547758.08+saturated",
        "",
    );
}

// §5

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
