//! Run a text of the small language in the oracle, and hold what comes out against what the text wants.
//!
//! script (plain data) -> **run** -> oracle
//!
//! Not here: what a text means (`script`).

use super::{Feature, Line, Wanted, history, wanted};
use crate::oracle::Oracle;
use crate::plan::{Aggregate, Bounds, Column, Counts, Definition, Event, Outcome, Settings, Sizes};

/// The names that features use, in the order of their first use: the indices of an event's lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub entities: Vec<String>,
    /// `amount` is money in cents, all others are in millionths.
    pub columns: Vec<String>,
    pub values: Vec<String>,
    pub conditions: Vec<String>,
}

impl Names {
    pub fn of<'a>(features: impl IntoIterator<Item = &'a Feature>) -> Self {
        let mut names = Self::default();
        for feature in features {
            names.definition(feature);
        }
        names
    }

    /// The feature by indices; names that are new get one.
    pub fn definition(&mut self, feature: &Feature) -> Definition {
        let index = |names: &mut Vec<String>, name: &Option<String>| {
            let name = name.as_ref().unwrap_or_else(|| panic!("{}: a field is missing", feature.name));
            names.iter().position(|other| other == name).unwrap_or_else(|| {
                names.push(name.clone());
                names.len() - 1
            })
        };
        let entity = index(&mut self.entities, &Some(feature.entity.clone()));
        let mut condition =
            feature.condition.is_some().then(|| index(&mut self.conditions, &feature.condition));
        let field = &feature.field;
        let mut aggregate = match feature.of.as_ref().unwrap_or(&feature.aggregate).as_str() {
            "count" => Aggregate::Count,
            "sum" => Aggregate::Sum(index(&mut self.columns, field)),
            "mean" => Aggregate::Mean(index(&mut self.columns, field)),
            "min" => Aggregate::Min(index(&mut self.columns, field)),
            "max" => Aggregate::Max(index(&mut self.columns, field)),
            "std" => Aggregate::Std(index(&mut self.columns, field)),
            "zscore" => Aggregate::Zscore(index(&mut self.columns, field)),
            "distinct" => Aggregate::Distinct(index(&mut self.values, field)),
            "share" => Aggregate::Share,
            "run" => Aggregate::Run,
            "seconds_since_last" => Aggregate::SecondsSinceLast,
            "seconds_since_first" => Aggregate::SecondsSinceFirst,
            other => panic!("{}: no aggregate `{other}`", feature.name),
        };
        if matches!(aggregate, Aggregate::Share | Aggregate::Run) {
            condition = Some(index(&mut self.conditions, field));
        }
        if let Some(over_ms) = feature.over_ms {
            aggregate = Aggregate::Ratio { of: Box::new(aggregate), over_ms };
        }
        Definition {
            entity,
            aggregate,
            window_ms: feature.window_ms,
            delay_ms: feature.delay_ms,
            inclusive: feature.inclusive,
            condition,
            label: None,
            or: feature.or,
        }
    }

    pub fn columns(&self) -> Vec<Column> {
        let column = |name: &String| match name.as_str() {
            "amount" => Column { digits: 2, money: true },
            _ => Column { digits: 6, money: false },
        };
        self.columns.iter().map(column).collect()
    }

    /// The line by indices; texts become their hashes.
    pub fn event(&self, line: &Line) -> Event {
        let text =
            |name: &String| line.texts.get(name).filter(|text| !text.is_empty()).map(|text| hash(text));
        let column = |(name, column): (&String, Column)| {
            let number = if name == "amount" { line.amount } else { line.numbers.get(name).copied() };
            number.map(|number| number.at(column.digits).unwrap_or_else(|| panic!("{number:?} of {line:?}")))
        };
        let id = line.id.clone().unwrap_or_else(|| format!("line {}", line.number));
        Event {
            sequence: line.sequence,
            id: hash(&id),
            time_ms: line.time_ms,
            keys: self.entities.iter().map(text).collect(),
            columns: self.columns.iter().zip(self.columns()).map(column).collect(),
            values: self.values.iter().map(text).collect(),
            conditions: self.conditions.iter().map(|name| line.conditions.contains(name)).collect(),
            label: None,
        }
    }
}

/// FNV-1a: any function of the text would do.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The last event's features in the oracle, under limits that no short history reaches.
pub fn check(history: &str, wanted: &str) {
    check_with(&Bounds::default(), history, wanted);
}

/// The same under given limits; a key is 100 bytes, an entry 10, a span 20, a distinct value 5; all keys are in part 1. Returns what the
/// state holds in the end.
pub fn check_with(bounds: &Bounds, text: &str, wanted_last: &str) -> Counts {
    let mut lines = history(text);
    if let Some(last) = lines.last_mut() {
        last.wanted.extend(wanted(wanted_last));
    }
    let mut features: Vec<Feature> = Vec::new();
    for want in lines.iter().flat_map(|line| &line.wanted) {
        if let Wanted::Feature { feature, .. } = want
            && !features.contains(&**feature)
        {
            features.push((**feature).clone());
        }
    }
    let mut names = Names::default();
    let definitions = features.iter().map(|feature| names.definition(feature)).collect();
    let sizes = Sizes { key_bytes: 100, entry_bytes: 10, span_bytes: 20, value_bytes: 5 };
    let (shards, id_shards) = (bounds.shards as u64, bounds.dedupe_shards as u64);
    let settings = Settings {
        bounds: bounds.clone(),
        sizes: vec![vec![sizes; names.entities.len()]],
        flags: Vec::new(),
        labels: None,
        columns: names.columns(),
        shard_of: Box::new(move |entity, key| (key.wrapping_add(entity as u64) % shards) as usize),
        part_of: Box::new(|_, _| 1),
        shard_of_id: Box::new(move |id| (id % id_shards) as usize),
    };
    let mut oracle = Oracle::new(settings, definitions, names.conditions.len());
    for line in &lines {
        let outcome = oracle.event(&names.event(line));
        compare(line, &features, &outcome);
    }
    oracle.counts()
}

/// Holds an outcome against what the line wants; `features` are in the order of the outcome's lists.
pub fn compare(line: &Line, features: &[Feature], outcome: &Outcome) {
    for want in &line.wanted {
        let at = format!("line {}: {want:?}", line.number);
        match (want, outcome) {
            (Wanted::Duplicate, Outcome::Duplicate) => {}
            (Wanted::Late, Outcome::Accepted { late, .. }) => assert!(*late, "{at}"),
            (
                Wanted::Feature { feature, value, saturated, degraded },
                Outcome::Accepted { values, saturated: are_saturated, degraded: are_degraded, .. },
            ) => {
                let index =
                    features.iter().position(|other| other == &**feature).expect("a feature of the plan");
                assert!(value.is(values[index]), "{at}: is {:?}", values[index]);
                assert_eq!(are_saturated[index], *saturated, "{at}: saturated");
                assert_eq!(are_degraded[index], *degraded, "{at}: degraded");
            }
            (Wanted::Duplicate | Wanted::Late | Wanted::Feature { .. }, outcome) => {
                panic!("{at}: the event is {outcome:?}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_can_fail() {
        let history = "00:00 card=A 1\n00:01 card=A 2";
        check(history, "card.sum_amount_1h=1.00");
        for wrong in [
            "card.sum_amount_1h=1.01",
            "card.count_1h=2",
            "card.count_1h=null",
            "card.count_1h=1+saturated",
            "card.count_1h=1+degraded",
            "card.mean_amount_1h=1/3",
            "late",
            "duplicate",
        ] {
            let failed = std::panic::catch_unwind(|| check(history, wrong)).is_err();
            assert!(failed, "{wrong}");
        }
    }
}
