//! Text as a features file, and as one expression in one: a set of features or faults, which can be printed.
//!
//! The service's configuration is in a binary, which nothing can link to: its seeded fuzz is `src/config/tests/fuzz.rs`. What
//! reads TOML for both is the engine's `document`, and that is in here.
#![no_main]

mod schema;

use cartguard_engine::document::Layer;
use cartguard_engine::features::file::read;
use cartguard_engine::features::plan::Plan;
use cartguard_engine::schema::Schema;
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| Arc::new(schema::schema()));

fn check(text: &str) {
    match read(text, Layer::File, "f.toml", &SCHEMA) {
        Ok(set) => {
            let plan = Plan::new(Arc::clone(&SCHEMA), Arc::new(set), 3_600_000);
            // As many layers as there are flags, and one below them.
            let layers = plan.set.flags.len() + 1;
            assert!(plan.memory_formula().count() <= SCHEMA.entities.len() * layers);
        }
        Err(faults) => assert!(faults.iter().all(|fault| !fault.to_string().is_empty())),
    }
}

fuzz_target!(|text: &str| {
    check(text);
    if !text.contains("'''") {
        check(&format!("[[feature]]\nname = 'x'\nvalue = '''{text}'''\n"));
    }
});
