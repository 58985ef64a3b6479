//! Why a model file was refused.
//!
//! Holds: a message names the place (tree, node, key) and the accepted form, and never repeats more than a
//! short piece of the file.
//! Not here: scoring, which has no errors: a model that loaded scores every row.

/// Why a model file was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Checked before anything is read or allocated.
    #[error("the model file has {bytes} bytes, more than the {max} that are accepted")]
    TooLarge { bytes: usize, max: usize },

    /// Not one of our formats; `what` says what it looks like and why that is refused.
    #[error("not a model file that can be read: {what}")]
    Foreign { what: &'static str },

    /// A well-formed model of a kind that is not scored here (booster, objective, option), by name.
    #[error("{what} is not supported; {accepted}")]
    Unsupported { what: String, accepted: &'static str },

    /// The text or binary container itself is broken.
    #[error("{format}: {fault} at {at}")]
    Syntax { format: &'static str, at: String, fault: String },

    /// A member outside of the trees is missing, of the wrong type or out of range.
    #[error("`{key}`: {fault}")]
    Field { key: String, fault: String },

    /// A tree as a whole is wrong.
    #[error("tree {tree}: {fault}")]
    Tree { tree: usize, fault: String },

    /// One node is wrong. Nodes are counted as in the file (`LightGBM`: leaves after splits).
    #[error("tree {tree}, node {node}: {fault}")]
    Node { tree: usize, node: i64, fault: String },
}

impl ModelError {
    pub(crate) fn field(key: impl Into<String>, fault: impl Into<String>) -> Self {
        Self::Field { key: key.into(), fault: fault.into() }
    }

    pub(crate) fn tree(tree: usize, fault: impl Into<String>) -> Self {
        Self::Tree { tree, fault: fault.into() }
    }

    pub(crate) fn node(tree: usize, node: i64, fault: impl Into<String>) -> Self {
        Self::Node { tree, node, fault: fault.into() }
    }

    pub(crate) fn unsupported(what: impl Into<String>, accepted: &'static str) -> Self {
        Self::Unsupported { what: what.into(), accepted }
    }
}
