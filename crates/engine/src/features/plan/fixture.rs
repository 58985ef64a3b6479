//! A plan for tests of what lies above.

use super::Plan;
use crate::currency::Currency;
use crate::document::Layer;
use crate::features::file;
use crate::schema::{CurrencySource, Entity, Path, Schema, TimeField, TimeForm, WindowScale};
use std::sync::Arc;

impl Plan {
    /// Features of the one entity `card`, of events that have an amount in EUR and nothing else.
    pub(crate) fn of_card(features: &str, lateness_ms: i64) -> Self {
        let path = |name: &str| Path(vec![name.to_owned()]);
        let euro = Currency::from_code(b"EUR").expect("a currency");
        let schema = Schema {
            id: path("id"),
            time: TimeField { path: path("t"), form: TimeForm::Epoch { per_second: 1_000 } },
            amount: path("amount"),
            currency: CurrencySource::Constant(euro),
            arrival: None,
            items: None,
            fields: Vec::new(),
            entities: vec![Entity { name: "card".to_owned(), key: vec![path("card")] }],
            scale: WindowScale::Constant,
            skew_ms: 600_000,
            hash_seed: 1,
        };
        let set = file::read(features, Layer::File, "test", &schema);
        Self::new(Arc::new(schema), Arc::new(set.expect("the features are right")), lateness_ms)
    }
}
