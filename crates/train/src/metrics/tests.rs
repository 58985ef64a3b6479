//! Judgements of small histories, and of scikit-learn's.

use super::daily::DAY_MS;
use super::{Judgement, METRICS, Scored, Settings, compare, judge};
use serde::Deserialize;

const SETTINGS: Settings = Settings { k: 2, review_at: 0.5, decline_at: 0.9 };

struct Events {
    scores: Vec<f64>,
    fraud: Vec<bool>,
    time_ms: Vec<i64>,
    amount: Vec<f64>,
    cards: Vec<u64>,
}

impl Events {
    fn scored(&self) -> Scored<'_> {
        let Self { scores, fraud, time_ms, amount, cards } = self;
        Scored { scores, fraud, time_ms, amount, cards }
    }
}

/// Twenty days of five events, of which the scores know more or less.
fn events(noise: f64) -> Events {
    let mut draw = crate::draw::Draw::new(7);
    let mut events = Events { scores: vec![], fraud: vec![], time_ms: vec![], amount: vec![], cards: vec![] };
    for at in 0..100 {
        let fraud = draw.share() < 0.3;
        let base = if fraud { 0.7 } else { 0.3 };
        events.scores.push((base + noise * (draw.share() - 0.5)).clamp(0.0, 1.0));
        events.fraud.push(fraud);
        events.time_ms.push(at / 5 * DAY_MS + at);
        events.amount.push(10.0 + at as f64);
        events.cards.push(draw.below(20) as u64);
    }
    events
}

fn value(judgement: &Judgement, metric: &str) -> f64 {
    judgement.of(metric).expect("a metric").value
}

#[test]
fn thresholds_and_money_are_counted() {
    let events = Events {
        scores: vec![0.95, 0.6, 0.5, 0.4],
        fraud: vec![true, false, true, true],
        time_ms: vec![0, 1, DAY_MS, DAY_MS + 1],
        amount: vec![10.0, 20.0, 30.0, 40.0],
        cards: vec![1, 2, 3, 4],
    };
    let judged = judge(&events.scored(), &SETTINGS);
    assert_eq!((judged.events, judged.frauds, judged.days), (4, 3, 2));
    assert_eq!((judged.money_caught, judged.money_lost), (40.0, 40.0));
    for (metric, wanted) in [
        ("review_precision", 2.0 / 3.0),
        ("review_recall", 2.0 / 3.0),
        ("review_share_of_events", 0.75),
        ("decline_precision", 1.0),
        ("decline_recall", 1.0 / 3.0),
        ("money_caught_share", 0.5),
        ("precision_at_k", 0.75),
        ("card_precision_at_k", 0.75),
    ] {
        assert_eq!(value(&judged, metric), wanted, "{metric}");
    }
    assert!(
        judged.estimates.iter().all(|(_, estimate)| estimate.interval.is_none()),
        "two days tell nothing"
    );
    assert_eq!(judged.of("nothing"), None);
}

#[test]
fn weeks_begin_at_midnight_of_the_first_event() {
    let mut events = events(0.5);
    events.time_ms.iter_mut().for_each(|time| *time += 3 * DAY_MS + 7);
    let weeks = judge(&events.scored(), &SETTINGS).weeks;
    let starts: Vec<(i64, u64)> = weeks.iter().map(|week| (week.from_ms / DAY_MS, week.events)).collect();
    assert_eq!(starts, [(3, 35), (10, 35), (17, 30)]);
    let caught: f64 = weeks.iter().map(|week| week.money_caught).sum();
    assert_eq!(caught, judge(&events.scored(), &SETTINGS).money_caught);
}

#[test]
fn an_interval_holds_its_value_and_is_always_the_same() {
    let events = events(1.0);
    let judged = judge(&events.scored(), &SETTINGS);
    for (name, estimate) in &judged.estimates {
        let Some(interval) = estimate.interval else {
            assert!(name.starts_with("decline"), "{name}: draws without a declined event have no precision");
            continue;
        };
        assert!(interval.low <= estimate.value && estimate.value <= interval.high, "{name}: {estimate:?}");
        assert!(interval.low < interval.high, "{name}: {estimate:?}");
    }
    let again = judge(&events.scored(), &SETTINGS);
    assert_eq!(judged.estimates, again.estimates);
}

#[test]
fn two_models_are_compared_on_the_same_days() {
    let (worse, better) = (events(1.4), events(0.6));
    let same = compare(&worse.scored(), &worse.scored(), [&SETTINGS; 2]);
    assert_eq!(same.len(), METRICS.len());
    let auc = |list: &[super::Difference]| *list.iter().find(|item| item.metric == "auc").expect("auc");
    let nothing = auc(&same).difference;
    assert_eq!((nothing.value, nothing.interval.map(|i| (i.low, i.high))), (0.0, Some((0.0, 0.0))));
    let found = auc(&compare(&worse.scored(), &better.scored(), [&SETTINGS; 2]));
    let interval = found.difference.interval.expect("twenty days");
    assert!(found.first < found.second && interval.low > 0.0, "{found:?}");
    // The models share their hard days: together they differ less than apart.
    let apart =
        judge(&worse.scored(), &SETTINGS).of("auc").and_then(|auc| auc.interval).expect("an interval");
    assert!(interval.high - interval.low < 2.0 * (apart.high - apart.low));
}

/// See `tools/golden/metrics.py`, which made it.
#[derive(Deserialize)]
struct Golden {
    versions: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    scores: Vec<f64>,
    fraud: Vec<u8>,
    roc_auc_score: f64,
    average_precision_score: f64,
    brier_score_loss: f64,
    log_loss: f64,
    recall_at_fpr: [f64; 3],
}

#[test]
fn metrics_are_those_of_scikit_learn() {
    let golden: Golden = serde_json::from_str(include_str!("golden.json")).expect("the golden file");
    assert!(golden.versions.contains("scikit-learn"), "{}", golden.versions);
    assert!(golden.cases.len() >= 4);
    for case in golden.cases {
        let fraud: Vec<bool> = case.fraud.iter().map(|fraud| *fraud == 1).collect();
        let count = fraud.len();
        let scored = Scored {
            scores: &case.scores,
            fraud: &fraud,
            time_ms: &vec![0; count],
            amount: &vec![1.0; count],
            cards: &[],
        };
        let judged = judge(&scored, &SETTINGS);
        for (metric, wanted) in [
            ("auc", case.roc_auc_score),
            ("average_precision", case.average_precision_score),
            ("brier", case.brier_score_loss),
            ("log_loss", case.log_loss),
            ("recall_at_fpr_0.1%", case.recall_at_fpr[0]),
            ("recall_at_fpr_0.5%", case.recall_at_fpr[1]),
            ("recall_at_fpr_1%", case.recall_at_fpr[2]),
        ] {
            let found = value(&judged, metric);
            assert!(
                (found - wanted).abs() < 1e-12,
                "{count} events: {metric} is {found}, scikit-learn has {wanted}"
            );
        }
    }
}
