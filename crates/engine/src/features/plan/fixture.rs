//! A plan for tests of what lies above.

use super::Plan;
use crate::document::Layer;
use crate::features::file;
use crate::schema::Schema;
use crate::schema::samples::{entity, least};
use std::sync::Arc;

impl Plan {
    /// Features of the one entity `card`, of events that have an amount in EUR and nothing else.
    pub(crate) fn of_card(features: &str, lateness_ms: i64) -> Self {
        let schema = Schema { entities: vec![entity("card", &["card"])], ..least() };
        let set = file::read(features, Layer::File, "test", &schema);
        Self::new(Arc::new(schema), Arc::new(set.expect("the features are right")), lateness_ms)
    }
}
