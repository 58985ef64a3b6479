//! Bytes -> event, or a reject.

use crate::event::EventMut;
use crate::record::Form;
use crate::reject::Reject;
use crate::schema::Schema;
use std::sync::Arc;

/// Reads records by one schema; owns the buffers that reading needs.
pub struct Decoder {
    #[expect(dead_code, reason = "filled in by the decoder")]
    schema: Arc<Schema>,
}

impl Decoder {
    /// A decoder of records mapped by `schema`.
    pub fn new(schema: Arc<Schema>) -> Self {
        Self { schema }
    }

    /// Reads one record. `arrival_ms` is the upstream's, or `NO_ARRIVAL`.
    pub fn decode(
        &mut self,
        _record: &[u8],
        _form: Form,
        _arrival_ms: i64,
        _event: &mut EventMut<'_>,
    ) -> Result<(), Reject> {
        unimplemented!()
    }

    /// The text of each entity's key of a record that decoded (`None` without a key; the parts of a composite key
    /// joined by `|`), for alerts.
    pub fn key_texts(&mut self, _record: &[u8], _texts: &mut Vec<Option<String>>) {}
}
