//! What was found -> an event: the rules of every field.
//!
//! guess, scan -> found -> **read** -> event
//!
//! Holds: the event is a function of the schema, the found values, the form and the arrival. Where several fields are
//! wrong, the reject is of the first in this order: id, time, currency, amount, arrival. Everything else is optional: what cannot
//! be read is missing.

use super::found::{Found, Kind, Leaf};
use super::hash::Hasher;
use super::items::{self, Skus};
use super::paths::Paths;
use super::{amount, label, time, value};
use crate::currency::{Currency, Scale};
use crate::event::{EventMut, IdText, KeyTexts, MISSING, NO_KEY, marks};
use crate::limits::TIME_MS_MIN;
use crate::record::{Form, NO_ARRIVAL};
use crate::reject::{Reason, Reject, Subject};
use crate::schema::{CurrencySource, FieldKind, ITEM_STATS, Schema, TimeForm};

/// A schema's rules, compiled, and the buffers that they need.
#[derive(Debug)]
pub(super) struct Reader {
    scale: Scale,
    ids: Hasher,
    categories: Hasher,
    entities: Vec<Hasher>,
    text: Vec<u8>,
    skus: Skus,
}

impl Reader {
    pub(super) fn new(schema: &Schema) -> Self {
        Self {
            scale: Scale::of(schema),
            ids: Hasher::ids(schema.hash_seed),
            categories: Hasher::categories(schema.hash_seed),
            entities: (0..schema.entities.len())
                .map(|index| Hasher::entity(schema.hash_seed, index))
                .collect(),
            text: Vec::new(),
            skus: Skus::default(),
        }
    }

    /// Fills the event.
    #[expect(
        clippy::too_many_arguments,
        reason = "the record and what is known of it; a struct would be made once a record to no use"
    )]
    pub(super) fn event(
        &mut self,
        schema: &Schema,
        paths: &Paths,
        found: &Found,
        record: &[u8],
        form: Form,
        arrival_ms: i64,
        event: &mut EventMut<'_>,
    ) -> Result<(), Reject> {
        if let Some(subject) = found.duplicate {
            return Err(Reject { reason: Reason::DuplicateMember, subject });
        }
        let leaf = |id: u16| found.leaves[usize::from(id)];
        let head = &mut *event.head;
        (head.id_hash, head.id) = self.id(leaf(paths.id), record)?;
        head.shown_ms = self.required_time(leaf(paths.time), schema.time.form, record, Subject::Time)?;
        let currency = self.currency(&schema.currency, paths.currency.map(leaf), record)?;
        head.currency = currency.0;
        head.amount_minor = self
            .amount(leaf(paths.amount), record, form, currency.digits())
            .map_err(|reason| Reject { reason, subject: Subject::Amount })?;
        head.amount_scaled = self.scale.scaled(head.amount_minor, currency).map_err(|reason| {
            let subject = if reason == Reason::NoRate { Subject::Currency } else { Subject::Amount };
            Reject { reason, subject }
        })?;
        let arrival_ms = match (&schema.arrival, paths.arrival.map(leaf)) {
            (Some(field), Some(leaf)) if arrival_ms == NO_ARRIVAL && !value::is_missing(leaf) => {
                self.required_time(leaf, field.form, record, Subject::Arrival)?
            }
            _ => arrival_ms,
        };
        (head.time_ms, head.marks) = (head.shown_ms, 0);
        if arrival_ms != NO_ARRIVAL && head.shown_ms > arrival_ms.saturating_add(schema.skew_ms) {
            (head.time_ms, head.marks) = (arrival_ms.saturating_add(schema.skew_ms), marks::EARLY);
            if head.time_ms < TIME_MS_MIN {
                return Err(Reject { reason: Reason::TimeOutOfRange, subject: Subject::Arrival });
            }
        }
        self.keys(paths, found, record, event.keys);
        self.slots(schema, paths, found, record, event.slots);
        Ok(())
    }

    /// Hash and place of the id: a string, or an integer in digits.
    pub(super) fn id(&mut self, leaf: Leaf, record: &[u8]) -> Result<(u64, IdText), Reject> {
        let reject = |reason| Reject { reason, subject: Subject::Id };
        if value::is_missing(leaf) {
            return Err(reject(Reason::Missing));
        }
        let text = match leaf.kind {
            Kind::Number => {
                let digits = leaf.bytes(record);
                let digits = digits.strip_prefix(b"-").unwrap_or(digits);
                digits.iter().all(u8::is_ascii_digit).then(|| leaf.bytes(record))
            }
            _ => value::string(leaf, record, &mut self.text),
        };
        let text = text.ok_or_else(|| reject(Reason::WrongType))?;
        Ok((self.ids.id(text), IdText { start: leaf.start, len: leaf.len }))
    }

    fn required_time(
        &mut self,
        leaf: Leaf,
        form: TimeForm,
        record: &[u8],
        subject: Subject,
    ) -> Result<i64, Reject> {
        let time = if value::is_missing(leaf) { Err(Reason::Missing) } else { self.time(leaf, form, record) };
        time.map_err(|reason| Reject { reason, subject })
    }

    fn time(&mut self, leaf: Leaf, form: TimeForm, record: &[u8]) -> Result<i64, Reason> {
        let string = value::string(leaf, record, &mut self.text);
        match form {
            TimeForm::Text => time::rfc3339(string.ok_or(Reason::WrongType)?),
            TimeForm::Epoch { per_second } => {
                let number = (leaf.kind == Kind::Number).then(|| leaf.bytes(record));
                time::epoch(string.or(number).ok_or(Reason::WrongType)?, per_second)
            }
        }
    }

    fn currency(
        &mut self,
        source: &CurrencySource,
        leaf: Option<Leaf>,
        record: &[u8],
    ) -> Result<Currency, Reject> {
        let reject = |reason| Reject { reason, subject: Subject::Currency };
        let (default, leaf) = match (source, leaf) {
            (CurrencySource::Constant(currency), _) => return Ok(*currency),
            (CurrencySource::Path { default, .. }, leaf) => (default, leaf.unwrap_or_default()),
        };
        if value::is_missing(leaf) {
            return default.ok_or_else(|| reject(Reason::Missing));
        }
        let code = value::string(leaf, record, &mut self.text).ok_or_else(|| reject(Reason::WrongType))?;
        Currency::from_code(code).ok_or_else(|| reject(Reason::UnknownCurrency))
    }

    fn amount(&mut self, leaf: Leaf, record: &[u8], form: Form, digits: u32) -> Result<i64, Reason> {
        if value::is_missing(leaf) {
            return Err(Reason::Missing);
        }
        match (leaf.kind, form) {
            (Kind::Number, Form::Json) => amount::exact(leaf.bytes(record), true, digits),
            (Kind::Number, _) => amount::near(leaf.bytes(record), digits),
            _ => {
                let text = value::string(leaf, record, &mut self.text).ok_or(Reason::WrongType)?;
                amount::exact(text, false, digits)
            }
        }
    }

    fn keys(&mut self, paths: &Paths, found: &Found, record: &[u8], keys: &mut [u64]) {
        for ((key, parts), hasher) in keys.iter_mut().zip(&paths.keys).zip(&self.entities) {
            let state = parts.iter().try_fold(hasher.start(), |state, &part| {
                let text = value::text(found.leaves[usize::from(part)], record, &mut self.text)?;
                Some(hasher.mix(state, text))
            });
            *key = state.map_or(NO_KEY, |state| hasher.key(state));
        }
    }

    fn slots(&mut self, schema: &Schema, paths: &Paths, found: &Found, record: &[u8], slots: &mut [i64]) {
        let (fields, items) = slots.split_at_mut(schema.fields.len());
        for ((slot, field), &leaf) in fields.iter_mut().zip(&schema.fields).zip(&paths.fields) {
            let leaf = found.leaves[usize::from(leaf)];
            let value = match field.kind {
                FieldKind::Category => {
                    value::text(leaf, record, &mut self.text).map(|text| self.categories.category(text))
                }
                FieldKind::Number => value::number(leaf, record, &mut self.text),
                FieldKind::Time(form) => self.time(leaf, form, record).ok(),
            };
            *slot = value.unwrap_or(MISSING);
        }
        if let (Some(leaf), Some((label, _))) = (paths.label, items.split_last_mut()) {
            let text = value::text(found.leaves[usize::from(leaf)], record, &mut self.text);
            *label = text.and_then(label::truth).map_or(MISSING, i64::from);
        }
        let Some(basket) = paths.items else { return };
        let is_array = found.leaves[usize::from(basket)].kind == Kind::Array;
        if is_array && !found.odd_line {
            let slots = &mut items[..ITEM_STATS];
            items::stats(record, &found.lines, &mut self.skus, &self.categories, &mut self.text, slots);
        } else {
            items[..ITEM_STATS].fill(MISSING);
        }
    }

    /// The text of each entity's key.
    pub(super) fn key_texts(&mut self, paths: &Paths, found: &Found, record: &[u8], texts: &mut KeyTexts) {
        for parts in &paths.keys {
            for (at, &part) in parts.iter().enumerate() {
                let text = value::text(found.leaves[usize::from(part)], record, &mut self.text);
                if at == 0 { texts.begin(text) } else { texts.add(text) }
            }
        }
    }
}
