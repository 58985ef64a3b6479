//! No line knows a label that does not count yet, nor an event that is still to come: bit for bit, over random histories.

mod twins;

use cartguard_oracle::histories::{Case, Random};
use twins::Twins;

const CASES: u64 = 300;

/// A history, and an event of it at which to cut.
struct Cut {
    twins: Twins,
    records: Vec<Vec<u8>>,
    /// Of the event.
    sequence: u64,
    /// Stream time at the event.
    stream_ms: i64,
}

/// Histories with windows of labels.
fn cuts() -> impl Iterator<Item = Cut> {
    let twins = (0..CASES).map(|seed| Twins::new(Case::new(seed, 400)));
    let with_labels =
        twins.filter(|twins| twins.case.definitions.iter().any(|definition| definition.label.is_some()));
    with_labels.map(|twins| {
        let events = &twins.case.events;
        let at = Random::new(twins.case.seed ^ 0xc07).below(events.len() as u64) as usize;
        let stream_ms = events[..=at].iter().map(|event| event.time_ms).max().unwrap_or_default();
        let (records, sequence) = (twins.records(), events[at].sequence);
        Cut { twins, records, sequence, stream_ms }
    })
}

/// The lines up to an event's.
fn up_to(decisions: &[u8], sequence: u64) -> Vec<String> {
    let text = String::from_utf8(decisions.to_vec()).expect("lines are text");
    let is_before = |line: &&str| {
        let decision: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        decision["sequence"].as_u64().expect("a number") <= sequence
    };
    text.lines().take_while(is_before).map(str::to_owned).collect()
}

#[test]
fn a_label_younger_than_its_delay_changes_no_line() {
    let mut told = 0;
    for Cut { mut twins, records, sequence, stream_ms } in cuts() {
        let seed = twins.case.seed;
        let delay_ms = twins.case.labels.as_ref().expect("labels").delay_ms;
        let before = twins.run(&records, 2, seed).decisions;
        for event in twins.case.events.iter_mut().filter(|event| event.time_ms + delay_ms > stream_ms) {
            event.label = event.label.map(|is_fraud| !is_fraud);
        }
        let after = twins.run(&twins.records(), 2, seed).decisions;
        assert_eq!(up_to(&before, sequence), up_to(&after, sequence), "seed {seed}, event {sequence}");
        told += u32::from(before != after);
    }
    assert!(told > 20, "only {told} histories tell the labels later");
}

#[test]
fn events_to_come_change_no_line() {
    let mut longer = 0;
    for Cut { twins, records, sequence, .. } in cuts() {
        let seed = twins.case.seed;
        let whole = twins.run(&records, 2, seed).decisions;
        let part = twins.run(&records[..=sequence as usize], 2, seed ^ 1).decisions;
        assert_eq!(up_to(&whole, sequence), up_to(&part, sequence), "seed {seed}, event {sequence}");
        longer += u32::from(whole.len() > part.len());
    }
    assert!(longer > 40, "only {longer} histories go on behind the cut");
}
