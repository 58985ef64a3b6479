//! `cartguard bench` as a process: what it says of the run that it made, not how fast it was.

mod shop;

use shop::{Shop, checkouts};
use std::fs;

#[test]
fn bench_prints_a_table() {
    let shop = Shop::new();
    let bench = ["bench", "--rate", "20000", "--seconds", "1", "--warm-up", "1000", "--hgrm", "b.hgrm"];
    let said = shop.good(&bench);
    for part in ["20000 events", "p50", "p99.99", "max", "1000 events filled the state before\n"] {
        assert!(said.contains(part), "{part} is absent from {said}");
    }
    assert!(!said.contains("--"), "{said}");
    assert!(shop.read("b.hgrm").contains("Percentile"));
    let (_, complained) = shop.ends(2, &["bench"]);
    assert!(complained.contains("--rate"), "{complained}");
}

#[test]
fn bench_keeps_a_history_of_its_own() {
    let shop = Shop::new();
    let bench = [
        "bench",
        "--rate",
        "20000",
        "--seconds",
        "1",
        "--warm-up",
        "1000",
        "--set",
        "history.folder=data",
        "--set",
        "snapshot.every=100ms",
    ];
    let said = shop.good(&bench);
    for part in ["20000 events", "p99.99", "slices of 0.25 s"] {
        assert!(said.contains(part), "{part} is absent from {said}");
    }
    // A record a batch, of 105 bytes.
    let bytes: u64 = shop
        .files("data/order")
        .iter()
        .map(|log| fs::metadata(shop.path(&format!("data/order/{log}"))).expect("a file").len())
        .sum();
    assert!(bytes > 1_000, "{bytes} bytes of order log");
    let (_, complained) = shop.ends(2, &bench);
    assert!(complained.contains("data holds a history already"), "{complained}");
}

/// A warm-up that is longer than half of the input was cut without a word, and so were the seconds.
#[test]
fn bench_says_what_its_input_was_too_short_for() {
    let shop = Shop::new();
    shop.write("in.jsonl", checkouts(0, 6_000));
    let bench = ["bench", "--rate", "20000", "--seconds", "1", "--input", "in.jsonl", "--warm-up"];
    let said = shop.good(&[&bench[..], &["4000"]].concat());
    for part in [
        "3000 events at 20000 events/s",
        "3000 events filled the state before, not the 4000 of --warm-up: half of the 6000 of the input is the most\n",
        "the input ended after 0.15 s, before the 1 s of --seconds\n",
    ] {
        assert!(said.contains(part), "{part} is absent from {said}");
    }
    // What is more than enough is not measured longer than was asked.
    let bench = ["bench", "--rate", "20000", "--seconds", "0.1", "--input", "in.jsonl", "--warm-up", "1000"];
    let said = shop.good(&bench);
    assert!(said.contains("2000 events at 20000 events/s") && !said.contains("--"), "{said}");
    shop.write("empty.jsonl", "");
    let complained = shop.bad(2, &["bench", "--rate", "1000", "--input", "empty.jsonl"]);
    assert!(complained.contains("--input"), "{complained}");
}

#[test]
fn bench_searches_in_steps_as_long_as_it_is_told() {
    let shop = Shop::new();
    shop.write("in.jsonl", checkouts(0, 20_000));
    let bench = ["bench", "--find-max", "--seconds", "0.02", "--input", "in.jsonl", "--warm-up", "100"];
    let search = |p99| shop.good(&[&bench[..], &["--hgrm", "max.hgrm", "--p99", p99]].concat());
    // Nothing is decided in a nanosecond.
    let said = search("0.001us");
    assert_eq!(said.matches(" events/s for 0.0 s: p50 ").count(), 7, "{said}");
    assert_eq!(said.matches(": does not hold\n").count(), 7, "{said}");
    assert!(said.contains("none of these rates holds p99 within 1ns; max.hgrm is not written\n"), "{said}");
    assert!(!shop.path("max.hgrm").exists());
    let said = search("1000s");
    assert!(said.contains("in each step 100 events filled the state before\n"), "{said}");
    assert!(said.contains("highest rate with p99 within 1000s: "), "{said}");
    assert!(shop.read("max.hgrm").contains("Percentile"));
}
