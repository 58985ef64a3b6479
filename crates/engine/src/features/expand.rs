//! A table of windows of the features file -> its features, in the order entity, window, aggregate, field.

use super::condition::Conditions;
use super::file::{Defaults, Draft, DraftKind, DraftReason, code, or, reason};
use super::names::{self, AGGREGATES, Parts, aggregate_word, is_name};
use super::sentence;
use super::spec::{Aggregate, Column, LabelIs, RatioOf, Value, WindowFeature};
use super::wording::{Subject, Words, amount_unit, span};
use crate::document::{Place, Reader, did_you_mean, duration, duration_text};
use crate::limits::{FEATURES_MAX, WINDOW_MS_MAX, WINDOW_MS_MIN};
use crate::schema::{FieldKind, ItemStat, Schema};

/// What a table is read with.
pub(super) struct Context<'a> {
    pub schema: &'a Schema,
    pub words: &'a Words,
    pub defaults: Defaults,
    pub conditions: &'a mut Conditions,
}

/// Features that a table is expanded to: one more than a file may have, so that the file is refused.
const EXPANSION_MAX: usize = FEATURES_MAX + 1;

/// A duration as written and in ms.
#[derive(Clone, Debug)]
struct Span {
    text: String,
    ms: i64,
}

/// The table, read and checked one key at a time.
struct Table {
    entities: Vec<usize>,
    windows: Vec<Span>,
    aggregates: Vec<&'static str>,
    columns: Vec<(String, Column)>,
    distinct: Vec<(String, Value)>,
    /// With its name.
    label: Option<(LabelIs, &'static str)>,
    /// Index, name, meaning.
    condition: Option<(usize, String, String)>,
    delay: Option<Span>,
    /// As the table says; the default is not in it.
    inclusive: Option<bool>,
    over: Option<Span>,
    ratio_of: &'static str,
}

/// What the table says of its features besides how they are computed.
struct Told {
    name: Option<String>,
    or: Option<(f64, Place)>,
    unit: Option<String>,
    meaning: Option<String>,
    reason: sentence::Told,
    code: Option<String>,
}

impl Context<'_> {
    /// The features of a table; fewer or none where there are faults.
    pub(super) fn features(&mut self, reader: &mut Reader<'_>) -> Vec<Draft> {
        let before = reader.faults().len();
        let table = self.table(reader);
        let told = Told {
            name: reader.text("name"),
            or: or(reader),
            unit: reader.text("unit"),
            meaning: reader.text("meaning"),
            reason: reason(reader, "{window}"),
            code: code(reader),
        };
        if reader.faults().len() > before {
            return Vec::new();
        }
        let mut drafts = self.expand(reader.place(), &table, &told);
        let single = |key: &str, given: bool| {
            if given && drafts.len() != 1 {
                reader.fault(key, format!("stands for one feature, and this table makes {}", drafts.len()));
            }
        };
        single("name", told.name.is_some());
        single("meaning", told.meaning.is_some());
        if told.name.is_some() {
            // Told already; a second fault about equal names would say nothing new.
            drafts.truncate(1);
        }
        if let Some(name) = told.name.filter(|name| !is_name(name)) {
            reader.fault(
                "name",
                format!("{name:?} is no name; words of letters, digits and _, joined by dots"),
            );
        }
        drafts
    }

    fn table(&mut self, reader: &mut Reader<'_>) -> Table {
        let entities = self.entities(reader);
        let windows = windows(reader);
        let aggregates = aggregates(reader);
        let takes_field =
            |aggregate: &&str| matches!(*aggregate, "sum" | "mean" | "min" | "max" | "std" | "zscore");
        let is_ratio = aggregates.contains(&"ratio");
        let ratio_of = ratio_of(reader, is_ratio);
        let needs_field = aggregates.iter().any(takes_field) || (is_ratio && ratio_of != "count");
        let columns = self.columns(reader, needs_field);
        let distinct = self.distinct(reader, aggregates.contains(&"distinct"), &entities);
        let label = self.label(reader, &aggregates);
        let condition = self.condition(reader, &aggregates, label.is_some());
        let delay = span_of(reader, "delay", 1..=WINDOW_MS_MAX);
        let inclusive = reader.truth("inclusive");
        let over = span_of(reader, "over", WINDOW_MS_MIN..=WINDOW_MS_MAX);
        let table = Table {
            entities,
            windows,
            aggregates,
            columns,
            distinct,
            label,
            condition,
            delay,
            inclusive,
            over,
            ratio_of,
        };
        table.check(reader);
        table
    }

    fn entities(&self, reader: &mut Reader<'_>) -> Vec<usize> {
        let known = &self.schema.entities;
        let mut entities = Vec::new();
        for (name, place) in reader.texts("entity").unwrap_or_default() {
            if let Some(entity) = known.iter().position(|entity| entity.name == name) {
                entities.push(entity);
            } else {
                let names = known.iter().map(|entity| entity.name.as_str());
                let what = format!("{name:?} is no entity of [entities]{}", did_you_mean(&name, names));
                reader.faults().add(place, &reader.key("entity"), what);
            }
        }
        entities
    }

    fn columns(&self, reader: &mut Reader<'_>, wanted: bool) -> Vec<(String, Column)> {
        let given = reader.texts("field");
        if given.is_some() && !wanted {
            reader.fault("field", "no aggregate of this table takes a field");
        }
        let place = reader.place_of("field");
        let mut columns = Vec::new();
        for (name, place) in given.unwrap_or_else(|| vec![("amount".to_owned(), place)]) {
            match self.slot(&name) {
                _ if name == "amount" => columns.push((name, Column::Amount)),
                Some((slot, true)) => columns.push((name, Column::Slot(slot))),
                Some((_, false)) => {
                    let what = format!("{name:?} is not of type number; only distinct can count it");
                    reader.faults().add(place, &reader.key("field"), what);
                }
                None => self.unknown_field(reader, "field", &name, place),
            }
        }
        columns
    }

    fn distinct(&self, reader: &mut Reader<'_>, wanted: bool, entities: &[usize]) -> Vec<(String, Value)> {
        let given = reader.texts("of");
        if wanted && given.is_none() {
            reader.fault("of", "is missing; what distinct counts: another entity or a field");
        }
        if !wanted && given.is_some() {
            reader.fault("of", "belongs to the aggregate distinct, which this table has not");
        }
        let mut values = Vec::new();
        for (name, place) in given.unwrap_or_default() {
            let entity = self.schema.entities.iter().position(|entity| entity.name == name);
            match (entity, self.slot(&name)) {
                (Some(entity), _) if entities.contains(&entity) => {
                    let what = format!("{name:?} is the entity itself; it has one value only");
                    reader.faults().add(place, &reader.key("of"), what);
                }
                (Some(entity), _) => values.push((name, Value::Entity(entity as u16))),
                (None, _) if name == "amount" => values.push((name, Value::Amount)),
                (None, Some((slot, _))) => values.push((name, Value::Slot(slot))),
                (None, None) => self.unknown_field(reader, "of", &name, place),
            }
        }
        values
    }

    /// The slot of a field or an item statistic, and whether it is a number.
    fn slot(&self, name: &str) -> Option<(u16, bool)> {
        let item = |stat| self.schema.item_slot(stat).map(|slot| (slot as u16, stat != ItemStat::Lines));
        match name {
            "items.lines" => item(ItemStat::Lines),
            "items.quantity" => item(ItemStat::Quantity),
            "items.total" => item(ItemStat::Total),
            "items.max_share" => item(ItemStat::MaxShare),
            "items.max_sku_quantity" => item(ItemStat::MaxSkuQuantity),
            _ => {
                let slot = self.schema.fields.iter().position(|field| field.name == name)?;
                Some((slot as u16, self.schema.fields[slot].kind == FieldKind::Number))
            }
        }
    }

    fn unknown_field(&self, reader: &Reader<'_>, key: &str, name: &str, place: &Place) {
        let fields = self.schema.fields.iter().map(|field| field.name.as_str());
        let entities = self.schema.entities.iter().map(|entity| entity.name.as_str());
        let known = fields.chain(["amount"]).chain(entities.filter(|_| key == "of"));
        let accepted = if key == "of" { "entity, mapped field or amount" } else { "mapped field or amount" };
        let what = format!("{name:?} is no {accepted}{}", did_you_mean(name, known));
        reader.faults().add(place, &reader.key(key), what);
    }

    /// `label = "fraud"`
    fn label(&self, reader: &mut Reader<'_>, aggregates: &[&str]) -> Option<(LabelIs, &'static str)> {
        const WORDS: [(LabelIs, &str); 3] =
            [(LabelIs::Known, "known"), (LabelIs::Fraud, "fraud"), (LabelIs::Genuine, "genuine")];
        let label = reader.one_of("label", &WORDS.map(|(_, word)| word)).map(|index| WORDS[index])?;
        if self.schema.labels.is_none() {
            reader
                .fault("label", "no label is ever known; give [labels] column or input in the configuration");
        }
        if let Some(word) = aggregates.iter().find(|word| matches!(**word, "distinct" | "run" | "ratio")) {
            reader.fault("aggregates", format!("{word} takes no label"));
        }
        if label.0 == LabelIs::Known
            && let Some(word) = aggregates.iter().find(|word| matches!(**word, "share" | "last"))
        {
            reader.fault("label", format!("{word} of the known would always be 1; fraud or genuine"));
        }
        Some(label)
    }

    fn condition(
        &mut self,
        reader: &mut Reader<'_>,
        aggregates: &[&str],
        has_label: bool,
    ) -> Option<(usize, String, String)> {
        let (text, name) = (reader.text("where"), reader.text("where_name"));
        let needs =
            aggregates.iter().find(|aggregate| matches!(**aggregate, "share" | "last" | "run") && !has_label);
        let Some(text) = text else {
            if let Some(aggregate) = needs {
                reader.fault("where", format!("is missing; the condition that {aggregate} is about"));
            }
            if name.is_some() {
                reader.fault("where_name", "names the condition of where, which is missing");
            }
            return None;
        };
        let found = self.conditions.find(reader, &text, name, self.schema)?;
        if has_label && self.conditions.used[found.0].flag.is_some() {
            reader.fault("where", format!("{text:?} is a flag; beside label a condition over fields"));
        }
        Some(found)
    }

    fn expand(&self, place: &Place, table: &Table, told: &Told) -> Vec<Draft> {
        let windows: Vec<_> =
            if table.windows.is_empty() { vec![None] } else { table.windows.iter().map(Some).collect() };
        let mut drafts = Vec::new();
        for &entity in &table.entities {
            for &window in &windows {
                for &aggregate in &table.aggregates {
                    for (field, aggregate) in table.meanings(aggregate) {
                        if drafts.len() >= EXPANSION_MAX {
                            return drafts;
                        }
                        let draft = self.draft(place, table, told, entity, window, &field, aggregate);
                        drafts.push(draft);
                    }
                }
            }
        }
        drafts
    }

    #[expect(clippy::too_many_arguments, reason = "one of each dimension of the table")]
    fn draft(
        &self,
        place: &Place,
        table: &Table,
        told: &Told,
        entity: usize,
        window: Option<&Span>,
        field: &str,
        aggregate: Aggregate,
    ) -> Draft {
        let of_span = |span: Option<&Span>| span.map_or(String::new(), |span| span.text.clone());
        let is_ratio = matches!(aggregate, Aggregate::Ratio { .. });
        let (window_text, delay) = (of_span(window), of_span(table.delay.as_ref()));
        let over = if is_ratio { of_span(table.over.as_ref()) } else { String::new() };
        let condition = table.condition.as_ref();
        let parts = Parts {
            entity: &self.schema.entities[entity].name,
            aggregate: aggregate_word(aggregate),
            label: table.label.map_or("", |(_, word)| word),
            field,
            condition: condition.map_or("", |(_, name, _)| name),
            window: &window_text,
            over: &over,
            delay: &delay,
        };
        // 0 for every event with a key; no default asks for that.
        let is_since = matches!(aggregate, Aggregate::SecondsSinceLast | Aggregate::Last)
            || aggregate == Aggregate::SecondsSinceFirst && window.is_some();
        let by_default =
            self.defaults.inclusive && !is_since && table.delay.is_none() && table.label.is_none();
        let inclusive = table.inclusive.unwrap_or(by_default);
        let texts = self.words.texts(&Subject {
            parts,
            key_parts: self.schema.entities[entity].key.len(),
            is_nested: table.over.as_ref().zip(window).is_some_and(|(over, window)| window.ms < over.ms),
            inclusive,
            condition: condition.map_or("", |(_, _, meaning)| meaning),
            unit: if field == "amount" { amount_unit(self.schema) } else { "" },
        });
        Draft {
            place: place.clone(),
            name: told.name.clone().unwrap_or_else(|| names::name(&parts)),
            kind: DraftKind::Window(WindowFeature {
                entity,
                aggregate,
                window_ms: window.map(|window| window.ms),
                delay_ms: table.delay.as_ref().map_or(0, |delay| delay.ms),
                inclusive,
                label: table.label.map(|(label, _)| label),
                condition: condition.map(|(index, ..)| *index),
            }),
            or: told.or.clone(),
            unit: told.unit.clone().unwrap_or(texts.unit),
            meaning: told.meaning.clone().unwrap_or(texts.meaning),
            reason: DraftReason::Made(texts.reason.with(told.reason.over(&span(&window_text)))),
            code: told.code.clone().unwrap_or_else(|| names::code(&parts)),
        }
    }
}

impl Table {
    /// One aggregate for each field that its word stands for.
    fn meanings(&self, word: &str) -> Vec<(String, Aggregate)> {
        let columns = |make: fn(Column) -> Aggregate| {
            self.columns.iter().map(|(name, column)| (name.clone(), make(*column))).collect()
        };
        let plain = |aggregate| vec![(String::new(), aggregate)];
        let over_ms = self.over.as_ref().map_or(0, |over| over.ms);
        let ratio = |of| Aggregate::Ratio { of, over_ms };
        match word {
            "count" => plain(Aggregate::Count),
            "sum" => columns(Aggregate::Sum),
            "mean" => columns(Aggregate::Mean),
            "min" => columns(Aggregate::Min),
            "max" => columns(Aggregate::Max),
            "std" => columns(Aggregate::Std),
            "zscore" => columns(Aggregate::ZScore),
            "distinct" => self
                .distinct
                .iter()
                .map(|(name, value)| (name.clone(), Aggregate::Distinct(*value)))
                .collect(),
            "share" => plain(Aggregate::Share),
            "last" => plain(Aggregate::Last),
            "run" => plain(Aggregate::Run),
            "seconds_since_last" => plain(Aggregate::SecondsSinceLast),
            "seconds_since_first" => plain(Aggregate::SecondsSinceFirst),
            _ => match self.ratio_of {
                "sum" => self
                    .columns
                    .iter()
                    .map(|(name, column)| (name.clone(), ratio(RatioOf::Sum(*column))))
                    .collect(),
                "mean" => self
                    .columns
                    .iter()
                    .map(|(name, column)| (name.clone(), ratio(RatioOf::Mean(*column))))
                    .collect(),
                _ => plain(ratio(RatioOf::Count)),
            },
        }
    }

    /// What fits each key alone but not together.
    fn check(&self, reader: &Reader<'_>) {
        let has = |word: &str| self.aggregates.contains(&word);
        if self.label.is_some() && reader.place_of("windows") == reader.place() {
            reader.fault("windows", "is missing; labels are looked back at over windows");
        } else if has("run") {
            if !self.windows.is_empty() {
                reader.fault("windows", "run takes no window; give it a table of its own");
            }
        } else if self.windows.is_empty() && reader.place_of("windows") == reader.place() {
            let others = self
                .aggregates
                .iter()
                .any(|word| !matches!(*word, "seconds_since_last" | "seconds_since_first"));
            if others {
                reader.fault("windows", "is missing; a list such as [\"10m\", \"24h\"]");
            } else if let (Some(word), Some(_)) = (self.aggregates.first(), &self.condition) {
                let what = format!("is missing; {word} with a condition looks back over a window");
                reader.fault("windows", what);
            }
        }
        if self.delay.is_some() && self.inclusive == Some(true) {
            reader.fault(
                "inclusive",
                "the current event lies outside a delayed window; leave out inclusive or delay",
            );
        }
        if self.label.is_some() && self.inclusive == Some(true) {
            reader.fault("inclusive", "the label of the current event is not known; leave inclusive out");
        }
        if self.delay.is_some() && self.windows.is_empty() {
            reader.fault("delay", "belongs to a window, and this table has none");
        }
        if has("seconds_since_first") && !self.windows.is_empty() && self.inclusive == Some(true) {
            reader.fault(
                "inclusive",
                "seconds_since_first over a window never counts the event itself; leave inclusive out",
            );
        }
        if has("last") && self.inclusive == Some(true) {
            reader.fault("inclusive", "last would always be about the event itself; leave inclusive out");
        }
        if has("seconds_since_last") && self.inclusive == Some(true) {
            reader.fault("inclusive", "seconds_since_last would always be 0; leave inclusive out");
        }
        if has("ratio") && self.over.is_none() && reader.place_of("over") == reader.place() {
            reader.fault("over", "is missing; the longer window that ratio divides by, such as \"7d\"");
        }
        if let Some(over) = &self.over {
            if !has("ratio") {
                reader.fault("over", "belongs to the aggregate ratio, which this table has not");
            } else if self.windows.iter().any(|window| window.ms == over.ms) {
                reader.fault(
                    "over",
                    format!("{:?} is the window itself; the ratio would always be 1", over.text),
                );
            }
        }
    }
}

fn windows(reader: &mut Reader<'_>) -> Vec<Span> {
    let mut windows: Vec<Span> = Vec::new();
    for (text, place) in reader.texts("windows").unwrap_or_default() {
        let Some(ms) = duration(&text) else {
            let what = format!(
                "{text:?} is not a duration; a whole number and a unit (s, m, h, d), such as \"10m\""
            );
            reader.faults().add(place, &reader.key("windows"), what);
            continue;
        };
        if !(WINDOW_MS_MIN..=WINDOW_MS_MAX).contains(&ms) {
            let (low, high) = (duration_text(WINDOW_MS_MIN), duration_text(WINDOW_MS_MAX));
            let what = format!("{text:?} is out of range; from {low} to {high}");
            reader.faults().add(place, &reader.key("windows"), what);
        }
        windows.push(Span { text, ms });
    }
    windows
}

fn aggregates(reader: &mut Reader<'_>) -> Vec<&'static str> {
    if reader.required("aggregates", "a list such as [\"count\", \"sum\"]").is_none() {
        return Vec::new();
    }
    let mut aggregates = Vec::new();
    for (word, place) in reader.texts("aggregates").unwrap_or_default() {
        if let Some(known) = AGGREGATES.iter().find(|known| **known == word) {
            aggregates.push(*known);
        } else {
            let guess = did_you_mean(&word, AGGREGATES);
            let what = format!("{word:?} is no aggregate; one of {}{guess}", AGGREGATES.join(", "));
            reader.faults().add(place, &reader.key("aggregates"), what);
        }
    }
    aggregates
}

fn ratio_of(reader: &mut Reader<'_>, is_ratio: bool) -> &'static str {
    const WORDS: [&str; 3] = ["count", "sum", "mean"];
    let given = reader.one_of("ratio_of", &WORDS);
    if given.is_some() && !is_ratio {
        reader.fault("ratio_of", "belongs to the aggregate ratio, which this table has not");
    }
    given.map_or("count", |index| WORDS[index])
}

fn span_of(reader: &mut Reader<'_>, key: &str, range: std::ops::RangeInclusive<i64>) -> Option<Span> {
    let ms = reader.duration(key, range)?;
    reader.text(key).map(|text| Span { text, ms })
}
