//! The schema of the targets: much of `checkout`, with every kind of field, of key and of time.

use cartguard_engine::currency::Currency;
use cartguard_engine::schema::{
    CurrencySource, Entity, Field, FieldKind, Items, Path, Schema, TimeField, TimeForm, WindowScale,
};

fn path(dotted: &str) -> Path {
    Path(dotted.split('.').map(str::to_owned).collect())
}

pub fn schema() -> Schema {
    let field = |name: &str, dotted: &str, kind| Field { name: name.to_owned(), path: path(dotted), kind };
    let entity = |name: &str, key: &[&str]| Entity {
        name: name.to_owned(),
        key: key.iter().map(|dotted| path(dotted)).collect(),
    };
    Schema {
        id: path("event_id"),
        time: TimeField { path: path("event_time"), form: TimeForm::Text },
        amount: path("amount"),
        currency: CurrencySource::Path { path: path("currency"), default: Currency::from_code(b"EUR") },
        arrival: Some(TimeField { path: path("arrival"), form: TimeForm::Epoch { per_second: 1000 } }),
        items: Some(Items {
            path: path("items"),
            sku: "sku".to_owned(),
            quantity: "qty".to_owned(),
            price: "price".to_owned(),
        }),
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
        scale: WindowScale::Common,
        skew_ms: 600_000,
        hash_seed: 7,
    }
}
