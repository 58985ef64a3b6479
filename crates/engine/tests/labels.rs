//! No line knows a label that does not count yet, nor an event that is still to come: bit for bit, over random histories.

mod twins;

use cartguard_oracle::histories::{Case, Random};
use cartguard_oracle::{Event, LabelLine, LabelsFrom};
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
    let (mut told, mut of_an_input) = (0, 0);
    for Cut { mut twins, records, sequence, stream_ms } in cuts() {
        let seed = twins.case.seed;
        let before = twins.run(&records, 2, seed).decisions;
        match twins.case.labels.as_ref().expect("labels").from {
            LabelsFrom::Column { delay_ms, .. } => {
                let younger = |event: &&mut Event| event.time_ms + delay_ms > stream_ms;
                for event in twins.case.events.iter_mut().filter(younger) {
                    event.label = event.label.map(|is_fraud| !is_fraud);
                }
            }
            LabelsFrom::Input { .. } => {
                for label in twins.case.label_lines.iter_mut().filter(|label| label.known_ms > stream_ms) {
                    label.is_fraud = !label.is_fraud;
                }
                of_an_input += 1;
            }
        }
        let after = twins.run(&twins.records(), 2, seed).decisions;
        assert_eq!(up_to(&before, sequence), up_to(&after, sequence), "seed {seed}, event {sequence}");
        told += u32::from(before != after);
    }
    assert!(told > 20, "only {told} histories tell the labels later");
    assert!(of_an_input > 20, "only {of_an_input} have labels of an input");
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

/// The lines of a history without what says where they stood in it.
fn values(decisions: &[u8]) -> Vec<serde_json::Value> {
    let text = String::from_utf8(decisions.to_vec()).expect("lines are text");
    let value = |line: &str| {
        let mut value: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        value.as_object_mut().expect("an object").remove("sequence");
        value
    };
    text.lines().map(value).collect()
}

/// Numbers events and labels anew: each label before the event of its place.
fn place(case: &mut Case, place_of: impl Fn(&LabelLine) -> usize) {
    let mut labels = std::mem::take(&mut case.label_lines);
    // Labels that are known together keep their order: the later one is the last.
    labels.sort_by_key(|label| (place_of(label), label.known_ms, label.sequence));
    let mut labels = labels.into_iter().peekable();
    let mut sequence = 0;
    for at in 0..=case.events.len() {
        while let Some(label) = labels.next_if(|label| place_of(label) == at) {
            case.label_lines.push(LabelLine { sequence, ..label });
            sequence += 1;
        }
        if let Some(event) = case.events.get_mut(at) {
            event.sequence = sequence;
            sequence += 1;
        }
    }
}

#[test]
fn a_label_may_come_at_any_time_before_it_is_known() {
    let mut compared = 0;
    for seed in 0..CASES {
        let mut case = Case::new(seed, 400);
        let Some(LabelsFrom::Input { bytes, .. }) = case.labels.as_ref().map(|labels| labels.from.clone())
        else {
            continue;
        };
        // Where memory is short, what waits in it decides what is evicted.
        if case.tight.is_some() || bytes < 1 << 20 {
            continue;
        }
        let mut stream_ms = i64::MIN;
        let stream: Vec<i64> = case
            .events
            .iter()
            .map(|event| {
                stream_ms = stream_ms.max(event.time_ms);
                stream_ms
            })
            .collect();
        let at_its_time = |label: &LabelLine| stream.partition_point(|&stream_ms| stream_ms < label.known_ms);
        let mut in_front = case.clone();
        place(&mut in_front, |_| 0);
        place(&mut case, at_its_time);
        let [late, early] = [case, in_front].map(|case| {
            let twins = Twins::new(case);
            values(&twins.run(&twins.records(), 2, seed).decisions)
        });
        for (late, early) in late.iter().zip(&early) {
            assert_eq!(late, early, "seed {seed}");
        }
        compared += 1;
    }
    assert!(compared > 20, "only {compared} histories have labels of an input");
}
