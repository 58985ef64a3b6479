//! The schema of the targets: much of `checkout`, with every kind of field, of key and of time.

use cartguard_engine::schema::samples::{checkout, entity, path};
use cartguard_engine::schema::{Field, FieldKind, Schema, TimeField, TimeForm};

pub fn schema() -> Schema {
    let field = |name: &str, dotted: &str, kind| Field { name: name.to_owned(), path: path(dotted), kind };
    Schema {
        arrival: Some(TimeField { path: path("arrival"), form: TimeForm::Epoch { per_second: 1000 } }),
        fields: vec![
            field("country", "shipping.country", FieldKind::Category),
            field("auth_result", "auth_result", FieldKind::Category),
            field("discount", "discount", FieldKind::Number),
            field("started", "session.started_at", FieldKind::Time(TimeForm::Text)),
        ],
        entities: vec![
            entity("customer", &["customer_id"]),
            entity("card", &["card_id"]),
            entity("ship", &["shipping.address_hash"]),
            entity("ip_amount", &["ip", "amount"]),
        ],
        hash_seed: 7,
        ..checkout()
    }
}
