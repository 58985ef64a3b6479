//! A small language for tests of the whole decoder, and the tests.

mod differential;
mod fields;
mod panics;
mod rules;
mod sample;
mod tree;
mod twin;
mod writer;

use super::Decoder;
use crate::currency::Currency;
use crate::event::{EventMut, Head};
use crate::record::{Form, NO_ARRIVAL};
use crate::reject::Reject;
use crate::schema::samples::{self, entity, field, path};
use crate::schema::{
    CurrencySource, Entity, Field, FieldKind, Items, Schema, TimeField, TimeForm, WindowScale,
};
use std::sync::Arc;

/// A fault of the decoder to order: no record that is known makes it panic. Not in any build but that of these tests.
pub(super) fn panic_where_asked(record: &[u8]) {
    assert!(memchr::memmem::find(record, panics::FAULT).is_none(), "a fault to order");
}

/// Much of checkout v1.
pub(super) fn checkout() -> Schema {
    Schema {
        arrival: Some(TimeField { path: path("arrival"), form: TimeForm::Epoch { per_second: 1000 } }),
        fields: vec![
            field("shipping.country", FieldKind::Category),
            field("billing.country", FieldKind::Category),
            field("discount", FieldKind::Number),
            field("session.started_at", FieldKind::Time(TimeForm::Text)),
            field("customer_id", FieldKind::Category),
        ],
        entities: vec![
            entity("customer", &["customer_id"]),
            entity("card", &["card_id"]),
            entity("pair", &["customer_id", "card_id"]),
        ],
        hash_seed: 7,
        ..samples::checkout()
    }
}

pub(super) const COUNTRY: usize = 0;
pub(super) const DISCOUNT: usize = 2;
pub(super) const STARTED: usize = 3;
pub(super) const ITEMS: usize = 5;
pub(super) const CUSTOMER: usize = 0;
pub(super) const CARD: usize = 1;
pub(super) const PAIR: usize = 2;

/// An owned event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) head: Head,
    pub(super) keys: Vec<u64>,
    pub(super) slots: Vec<i64>,
}

/// One decoder with all that is around it.
pub(super) struct Case {
    pub(super) schema: Arc<Schema>,
    pub(super) decoder: Decoder,
    pub(super) form: Form,
    pub(super) arrival_ms: i64,
}

impl Case {
    pub(super) fn new(schema: Schema) -> Self {
        let schema = Arc::new(schema);
        let decoder = Decoder::new(Arc::clone(&schema));
        Self { schema, decoder, form: Form::Json, arrival_ms: NO_ARRIVAL }
    }

    pub(super) fn decode(&mut self, record: &[u8]) -> Result<Event, Reject> {
        let mut event = Event {
            head: Head::default(),
            keys: vec![1; self.schema.entities.len()],
            slots: vec![1; self.schema.slots()],
        };
        let mut parts = EventMut { head: &mut event.head, keys: &mut event.keys, slots: &mut event.slots };
        self.decoder.decode(record, self.form, self.arrival_ms, &mut parts)?;
        Ok(event)
    }
}

/// The least record, with `members` (each ended by a comma) before the rest.
pub(super) fn least(members: &str) -> String {
    format!(r#"{{{members}"event_id":"e1","event_time":"2024-02-29T12:34:56.789Z","amount":"12.30"}}"#)
}

/// The least record with this amount as it stands in JSON.
pub(super) fn with_amount(amount: &str) -> String {
    format!(r#"{{"event_id":"e1","event_time":"2024-02-29T12:34:56.789Z","amount":{amount}}}"#)
}

pub(super) fn with_time(time: &str) -> String {
    format!(r#"{{"event_id":"e1","event_time":{time},"amount":1}}"#)
}

pub(super) fn with_id(id: &str) -> String {
    format!(r#"{{"event_id":{id},"event_time":"2024-02-29T12:34:56.789Z","amount":1}}"#)
}
