//! Tables computed by hand, one for each rule of docs/semantics.md, both sides of each edge: §1 to §3.
//!
//! Not here: keys past their bound (`spans`), memory (`eviction`).

use cartguard_oracle::Bounds;
use cartguard_oracle::plan::event_time;
use cartguard_oracle::script::{check, check_with};

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

#[test]
fn an_id_accepted_anew_is_no_longer_the_first() {
    let bounds =
        Bounds { dedupe_span_ms: 60_000, dedupe_shards: 1, dedupe_ids_per_shard: 2, ..Bounds::default() };
    let counts = check_with(
        &bounds,
        "00:00 card=A #1 1
         00:30 card=A #2 1
         01:00 card=A #1 1 => card.count_1h=2    // its t0 was out of the span: now #2 is the first
         01:10 card=A #3 1                       // #2 goes
         01:11 card=A #1 1 => duplicate
         01:12 card=A #2 1 => card.count_1h=4",
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
