//! Tables computed by hand for a key past its bound: docs/semantics.md §4.

use cartguard_oracle::script::{check, check_with};
use cartguard_oracle::{Bounds, Counts};

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
