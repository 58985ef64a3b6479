//! Schemas to start from in tests, benches and fuzz targets: `Schema { entities: .., ..samples::checkout() }`.
//!
//! Not here: what a deployment maps (the service's `config`).

use super::{
    CurrencySource, Entity, Field, FieldKind, Items, Path, Schema, TimeField, TimeForm, WindowScale,
};
use crate::currency::Currency;

/// `shipping.country`
pub fn path(dotted: &str) -> Path {
    Path(dotted.split('.').map(str::to_owned).collect())
}

/// A field called as its path.
pub fn field(name: &str, kind: FieldKind) -> Field {
    Field { name: name.to_owned(), path: path(name), kind }
}

/// An entity with the paths of its key.
pub fn entity(name: &str, key: &[&str]) -> Entity {
    Entity { name: name.to_owned(), key: key.iter().map(|part| path(part)).collect() }
}

/// Members as checkout v1 has them; no entity and no field but the basket.
///
/// # Panics
/// Never: EUR is a currency.
pub fn checkout() -> Schema {
    Schema {
        id: path("event_id"),
        time: TimeField { path: path("event_time"), form: TimeForm::Text },
        amount: path("amount"),
        currency: CurrencySource::Path { path: path("currency"), default: Currency::from_code(b"EUR") },
        arrival: None,
        items: Some(Items {
            path: path("items"),
            sku: "sku".to_owned(),
            quantity: "qty".to_owned(),
            price: "price".to_owned(),
        }),
        fields: Vec::new(),
        entities: Vec::new(),
        scale: WindowScale::Common,
        labels: None,
        skew_ms: 600_000,
        hash_seed: 1,
    }
}

/// The least: `id`, `t` in milliseconds, `amount` in EUR.
///
/// # Panics
/// Never: EUR is a currency.
pub fn least() -> Schema {
    Schema {
        id: path("id"),
        time: TimeField { path: path("t"), form: TimeForm::Epoch { per_second: 1_000 } },
        currency: CurrencySource::Constant(Currency::from_code(b"EUR").expect("a currency")),
        items: None,
        scale: WindowScale::Constant,
        ..checkout()
    }
}
