//! History through the engine: a row and what is known of it for every accepted event.
//!
//! files -> engine -> **gather** -> rows with labels
//!
//! Holds: rows are in sequence order; the engine has no model, keeps nothing on disk and writes no features into lines, so that
//! nothing but the rows costs time.

use super::bars::Bars;
use super::labels::{Known, LabelFile, of_record};
use crate::adapters::{OpenHistory, open_history};
use crate::cli::complain;
use crate::config::Config;
use crate::engine;
use crate::exit::Refusal;
use anyhow::anyhow;
use cartguard_engine::batch::rows::Row;
use cartguard_engine::batch::{BATCH_RECORDS_MAX, Engine, OutputFeatures, Outputs};
use cartguard_engine::currency::Currency;
use cartguard_engine::record::Records;
use cartguard_engine::schema::LabelsFrom;
use cartguard_io::{FileSource, Meter, Read, Source};
use cartguard_train::metrics::scenarios::Story;
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;

/// Bytes of records in a batch.
const BATCH_BYTES: usize = 2 << 20;

/// What is asked of a history.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) config: &'a Config,
    pub(crate) input: &'a [PathBuf],
    /// Entity whose keys are cards, by place in the schema.
    pub(crate) card: Option<usize>,
}

/// An accepted event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) time_ms: i64,
    /// In major units.
    pub(crate) amount: f64,
    /// Hash of the card's key.
    pub(crate) card: u64,
    /// The first that was known; of events with several labels the others lie apart.
    first: Option<Known>,
}

/// A history in memory.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// The features, in the order of the plan.
    pub(crate) names: Vec<String>,
    /// All rows, one after the other; NaN is missing.
    pub(crate) values: Vec<f32>,
    pub(crate) events: Vec<Event>,
    /// Of an event, what became known after its first label.
    more: HashMap<usize, Vec<Known>>,
    /// Of the events whose labels name a kind of fraud or an attack.
    stories: HashMap<usize, Story>,
    /// Names of the kinds.
    pub(crate) kinds: Vec<String>,
    /// Labels whose event is not in the history.
    pub(crate) labels_without_event: usize,
}

impl Gathered {
    /// Nothing so far, of these features.
    pub(crate) fn of(names: Vec<String>) -> Self {
        Self { names, ..Self::default() }
    }

    pub(crate) fn width(&self) -> usize {
        self.names.len()
    }

    /// Whether an event is fraud, by what was known at a time.
    pub(crate) fn truth_at(&self, event: usize, at_ms: i64) -> Option<bool> {
        let first = self.events[event].first.filter(|known| known.at_ms <= at_ms)?;
        let later =
            self.more.get(&event).and_then(|list| list.iter().rev().find(|known| known.at_ms <= at_ms));
        Some(later.unwrap_or(&first).fraud)
    }

    /// The same by all that is known.
    pub(crate) fn truth(&self, event: usize) -> Option<bool> {
        self.truth_at(event, i64::MAX)
    }

    /// Takes over what is known once all of the history went by.
    pub(crate) fn close(&mut self, passage: &Passage<'_>) {
        passage.tell_losses();
        self.labels_without_event = passage.labels_without_event();
        self.kinds = passage.file.as_ref().map_or_else(Vec::new, |file| file.kinds().to_vec());
    }

    /// How long after their time nine of ten genuine events were known to be so, by what was known at a time. Where fraud is known earlier, what is
    /// younger is a sample of fraud alone.
    pub(crate) fn settled_after(&self, at_ms: i64) -> i64 {
        let genuine = self.events.iter().filter_map(|event| {
            let known = event.first.filter(|known| !known.fraud && known.at_ms <= at_ms)?;
            Some((known.at_ms - event.time_ms).max(0))
        });
        let mut delays: Vec<i64> = genuine.collect();
        let place = delays.len() * 9 / 10;
        if place == delays.len() {
            return 0;
        }
        *delays.select_nth_unstable(place).1
    }

    /// When an event was first known to be fraud.
    pub(crate) fn fraud_known_at(&self, event: usize) -> Option<i64> {
        let later = self.more.get(&event).into_iter().flatten();
        self.events[event].first.iter().chain(later).find(|known| known.fraud).map(|known| known.at_ms)
    }

    /// What its labels say of an event besides fraud or not.
    pub(crate) fn story(&self, event: usize) -> Story {
        self.stories.get(&event).copied().unwrap_or_default()
    }

    /// Adds the event that comes next.
    pub(crate) fn push(&mut self, row: &Row<'_>, passing: &Passing<'_>, card: u64) {
        let Passing { amount, known, story, .. } = *passing;
        if let Some(story) = story {
            self.stories.insert(self.events.len(), story);
        }
        if let [_, more @ ..] = known
            && !more.is_empty()
        {
            self.more.insert(self.events.len(), more.to_vec());
        }
        self.values.extend_from_slice(row.values);
        let first = known.first().copied();
        self.events.push(Event { time_ms: row.head.event.time_ms, amount, card, first });
    }
}

/// An event on its way: for whoever writes rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passing<'a> {
    pub(crate) id: &'a str,
    pub(crate) time_ms: i64,
    pub(crate) amount: f64,
    pub(crate) currency: &'static str,
    /// In the order in which they became known.
    pub(crate) known: &'a [Known],
    /// Where its labels say what kind of fraud it is, or of which attack.
    pub(crate) story: Option<Story>,
    pub(crate) values: &'a [f32],
}

/// Runs a history through the engine and keeps its rows.
pub(crate) fn gather(ask: Ask<'_>, bars: &Bars) -> anyhow::Result<Gathered> {
    let mut gathered = Gathered::default();
    let passage = run(ask, bars, |row, passing, card| {
        gathered.push(row, passing, card);
        Ok(())
    })?;
    gathered.names = names(ask.config);
    gathered.close(&passage);
    if gathered.events.is_empty() {
        return Err(anyhow!(Refusal("the input has no event that is accepted".to_owned())));
    }
    Ok(gathered)
}

/// Hands every event on.
pub(crate) fn pass(
    ask: Ask<'_>,
    bars: &Bars,
    mut take: impl FnMut(&Passing<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let passage = run(ask, bars, |_, passing, _| take(passing))?;
    passage.tell_losses();
    Ok(passage.labels_without_event())
}

/// The features of a configuration.
pub(crate) fn names(config: &Config) -> Vec<String> {
    config.feature_set().features.iter().map(|feature| feature.name.clone()).collect()
}

fn run<'a>(
    ask: Ask<'a>,
    bars: &Bars,
    mut take: impl FnMut(&Row<'_>, &Passing<'_>, u64) -> anyhow::Result<()>,
) -> anyhow::Result<Passage<'a>> {
    let mut passage = Passage::open(ask)?;
    let bar = bars.bytes("history", &passage.meter);
    let mut records = Records::default();
    while passage.read(&mut records, bars)? {
        passage.process(&mut records, &mut take)?;
        bar.tick(&passage.meter);
    }
    drop(bar);
    Ok(passage)
}

/// A history on its way through an engine, batch by batch.
pub(crate) struct Passage<'a> {
    ask: Ask<'a>,
    file: Option<LabelFile>,
    source: Box<dyn Source>,
    pub(crate) engine: Engine,
    outputs: Outputs,
    pub(crate) meter: Meter,
    /// Events that the file has labels of.
    found: usize,
}

impl<'a> Passage<'a> {
    /// An engine without a model, at the begin of the history.
    pub(crate) fn open(ask: Ask<'a>) -> anyhow::Result<Self> {
        let config = ask.config;
        let labels = &config.label_input;
        let file = (!labels.is_empty()).then(|| LabelFile::read(labels)).transpose()?;
        let OpenHistory { source, meter, .. } = open_history(config, ask.input)?;
        let mut quiet = config.clone();
        (quiet.model, quiet.history) = (None, None);
        (quiet.output.features, quiet.output.event) = (OutputFeatures::None, false);
        quiet.reasons.top = 0;
        let mut engine = engine::open(&quiet, FileSource::IDENTITY)?;
        engine.set_partitions(source.partitions());
        let features: Vec<usize> = (0..config.feature_set().features.len()).collect();
        engine.hand_out_rows(&features);
        Ok(Self { ask, file, source, engine, outputs: Outputs::default(), meter, found: 0 })
    }

    /// The next records; whether there were any. Ends with an error where a signal came.
    pub(crate) fn read(&mut self, records: &mut Records, bars: &Bars) -> anyhow::Result<bool> {
        let batch_max = self.ask.config.engine.batch_max.min(BATCH_RECORDS_MAX);
        let read = self.source.read(records, BATCH_BYTES, batch_max)?;
        if read != Read::End && bars.is_stopped() {
            return Err(anyhow!(cartguard_train::TrainError::Cancelled));
        }
        Ok(read != Read::End)
    }

    /// Takes records through the engine and hands on each accepted event: its row, what is known of it, its card.
    pub(crate) fn process(
        &mut self,
        records: &mut Records,
        mut take: impl FnMut(&Row<'_>, &Passing<'_>, u64) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.engine.process(records, &mut self.outputs);
        for row in self.outputs.rows() {
            let event = &row.head.event;
            let bytes = records.bytes_of(row.head.record);
            let id = unescaped(&bytes[event.id.start as usize..][..event.id.len as usize]);
            let labels_from = self.ask.config.schema().labels.as_ref().map(|labels| &labels.from);
            let column;
            let known = match (&self.file, labels_from) {
                (Some(file), _) => {
                    let known = file.of(&id);
                    self.found += usize::from(!known.is_empty());
                    known
                }
                (None, Some(LabelsFrom::Column { path, delay_ms })) => {
                    let at_ms = event.time_ms + delay_ms;
                    column = of_record(bytes, &path.0)?.map(|fraud| Known { fraud, at_ms });
                    column.as_slice()
                }
                (None, Some(LabelsFrom::Input { .. }) | None) => &[],
            };
            let money = Currency(event.currency);
            let passing = Passing {
                id: &id,
                time_ms: event.time_ms,
                amount: event.amount_minor as f64 / 10f64.powi(money.digits() as i32),
                currency: money.code(),
                known,
                story: self.file.as_ref().and_then(|file| file.story_of(&id)),
                values: row.values,
            };
            take(&row, &passing, self.ask.card.map_or(0, |card| row.keys[card]))?;
        }
        Ok(())
    }

    /// Features that lack labels are no longer those of a service with more memory.
    fn tell_losses(&self) {
        if let Some(lost) = engine::lost_labels(&self.engine) {
            complain(&format!("warning: {lost}\n"));
        }
    }

    /// Labels whose event did not come.
    fn labels_without_event(&self) -> usize {
        self.file.as_ref().map_or(0, |file| file.len().saturating_sub(self.found))
    }
}

/// An id as it was meant: its text stands in the record as JSON has it.
pub(super) fn unescaped(id: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(id);
    if !text.contains('\\') {
        return text;
    }
    serde_json::from_str(&format!("\"{text}\"")).map_or(text, Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_at_a_time_is_the_last_label_known_then() {
        let known = |at_ms, fraud| Known { fraud, at_ms };
        let event = Event { time_ms: 0, amount: 1.0, card: 0, first: Some(known(10, false)) };
        let gathered = Gathered {
            events: vec![event, Event { first: None, ..event }],
            more: HashMap::from([(0, vec![known(20, true), known(30, false)])]),
            ..Gathered::default()
        };
        let at = |time| gathered.truth_at(0, time);
        assert_eq!(
            [at(9), at(10), at(19), at(20), at(30)],
            [None, Some(false), Some(false), Some(true), Some(false)]
        );
        assert_eq!(gathered.truth(0), Some(false));
        assert_eq!(gathered.truth(1), None);
        assert_eq!(gathered.fraud_known_at(0), Some(20));
    }

    #[test]
    fn events_are_settled_once_most_genuine_ones_are_known() {
        let event = |time_ms, fraud, after| Event {
            time_ms,
            amount: 1.0,
            card: 0,
            first: Some(Known { fraud, at_ms: time_ms + after }),
        };
        let mut events: Vec<Event> = (0..100).map(|at| event(at, false, 30)).collect();
        // Fraud is known at once, and a few orders are looked at by somebody.
        events.extend((0..100).map(|at| event(at, true, 1)));
        events.extend((0..5).map(|at| event(at, false, 2)));
        let gathered = Gathered { events, ..Gathered::default() };
        assert_eq!((gathered.settled_after(i64::MAX), gathered.settled_after(50)), (30, 30));
        assert_eq!((gathered.settled_after(10), gathered.settled_after(0)), (2, 0));
    }

    #[test]
    fn an_id_is_read_as_json_has_it() {
        assert_eq!(unescaped(b"plain"), "plain");
        assert_eq!(unescaped(br"a\u0062\/c"), "ab/c");
    }
}
