//! What features mean, as one hash: of name, unit and meaning of each, a line each.
//!
//! features file -> **meanings** -> manifest, `folder`
//!
//! Holds: the text that is hashed never changes for the same features, or every trained model would be refused.

use cartguard_engine::features::spec::Feature;
use sha2::{Digest, Sha256};

/// In hexadecimal.
pub(crate) fn sha256<'a>(features: impl Iterator<Item = &'a Feature>) -> String {
    let mut hash = Sha256::new();
    for feature in features {
        hash.update(format!("{}\t{}\t{}\n", feature.name, feature.unit, feature.meaning));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
