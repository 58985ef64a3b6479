//! Labels of random histories: beside the events, or records of their own that come early, late, again and for nothing.
//!
//! histories -> **labels**

use super::{Case, DAY, HOUR, MINUTE, Random, SECOND, mix};
use crate::plan::{Aggregate, Definition, LabelIs, LabelLine, Labels, LabelsFrom};

/// Labels for half of all cases, and windows of them; and windows of other aggregates for some.
pub(super) fn labels(seed: u64, definitions: &mut [Definition], conditions: usize) -> Option<Labels> {
    let mut random = Random::new(mix(seed ^ 0x1abe1));
    let has_labels = random.chance(50);
    for definition in definitions.iter_mut() {
        match definition.aggregate {
            Aggregate::Share if random.chance(50) => definition.aggregate = Aggregate::Last,
            Aggregate::SecondsSinceLast if definition.window_ms.is_some() && random.chance(50) => {
                definition.aggregate = Aggregate::SecondsSinceFirst;
            }
            _ => {}
        }
        let can_have = definition.window_ms.is_some()
            && definition.condition.is_none_or(|condition| condition < conditions)
            && !matches!(
                definition.aggregate,
                Aggregate::Distinct(_) | Aggregate::Run | Aggregate::Ratio { .. }
            );
        if has_labels && can_have && random.chance(50) {
            let of_known = !matches!(definition.aggregate, Aggregate::Share | Aggregate::Last);
            let label = random.one_of(&[LabelIs::Fraud, LabelIs::Genuine, LabelIs::Known]);
            let label = if of_known || label != LabelIs::Known { label } else { LabelIs::Fraud };
            definition.label = Some(label);
            definition.inclusive = false;
            if random.chance(50) {
                definition.condition = None;
            }
        }
    }
    has_labels.then(|| {
        let delay_ms = random.one_of(&[0, 1, SECOND, MINUTE, HOUR, DAY]);
        let maturity_ms = random.chance(50).then(|| random.one_of(&[1, SECOND, HOUR, DAY]));
        let waiting_max = random.one_of(&[1, 2, 4, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20]);
        let from = if random.chance(50) {
            LabelsFrom::Column { delay_ms, waiting_max }
        } else {
            let spans = [HOUR, DAY, 30 * DAY, 400 * DAY];
            let span_ms = random.one_of(&spans).max(maturity_ms.unwrap_or_default());
            LabelsFrom::Input { span_ms, bytes: waiting_max as u64 * 100, event_bytes: 100, label_bytes: 40 }
        };
        Labels { from, maturity_ms }
    })
}

/// Labels that are records of their own, in front of all events as before a history, or among them as they would come.
pub(super) fn announce(case: &mut Case) {
    let Some(Labels { from: LabelsFrom::Input { span_ms, .. }, maturity_ms }) = case.labels else { return };
    let mut random = Random::new(mix(case.seed ^ 0xa220));
    let in_front = random.chance(30);
    let maturity_ms = maturity_ms.unwrap_or(HOUR);
    let mut lines: Vec<(usize, LabelLine)> = Vec::new();
    for (at, event) in case.events.iter().enumerate() {
        for _ in 0..random.one_of(&[0, 1, 1, 1, 1, 1, 2, 3]) {
            let edges = [0, 0, SECOND, MINUTE, HOUR, DAY, maturity_ms, span_ms];
            // Of a clock that is wrong by a year and more.
            let far = [400 * DAY, 401 * DAY, 800 * DAY];
            let edges = if random.chance(4) { &far[..] } else { &edges };
            let edge = random.one_of(edges);
            let known_ms = event.time_ms + edge + random.within(-1, 1);
            let place = match random.below(10) {
                _ if in_front => 0,
                // It comes before its event, or long after it.
                0 => at.saturating_sub(random.below(5) as usize),
                1 => at + random.below(400) as usize,
                _ => at + random.below(20) as usize,
            };
            let id = if random.chance(3) { random.next_u64() } else { event.id };
            let line = LabelLine { sequence: 0, id, is_fraud: random.chance(40), known_ms };
            lines.push((place.min(case.events.len()), line.clone()));
            if random.chance(5) {
                lines.push((place.min(case.events.len()), line));
            }
        }
    }
    lines.sort_by_key(|(place, _)| *place);
    let (mut lines, mut added) = (lines.into_iter().peekable(), 0);
    let mut next = 0;
    for at in 0..=case.events.len() {
        let sequence = case.events.get(at).map_or(next, |event| event.sequence);
        next = sequence + 1;
        while let Some((_, line)) = lines.next_if(|(place, _)| *place == at) {
            case.label_lines.push(LabelLine { sequence: sequence + added, ..line });
            added += 1;
        }
        if let Some(event) = case.events.get_mut(at) {
            event.sequence += added;
        }
    }
}
