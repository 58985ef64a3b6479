//! What the world did to a source or a sink, and what to do about it.
//!
//! Every adapter -> **trouble** -> the caller, who obeys the advice
//!
//! Holds: the message names the thing (file, line, offset, bytes); the cause is in the source chain, so
//! print the chain. Not here: bad records, which are data and pass through as records.

use std::error::Error;
use std::path::Path;

/// What the caller should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The same call may succeed later; nothing of it was taken or delivered.
    Retry,
    /// It will not get better by itself.
    Stop,
    /// The other side went away on purpose (a closed pipe): stop, and it is no failure.
    Done,
    /// What was asked for is wrong, whatever the world does: stop before anything is done.
    Refuse,
    /// All is to end, and what was asked for was left undone: no failure.
    Over,
}

/// The world's fault.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Trouble {
    advice: Advice,
    what: String,
    #[source]
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Trouble {
    /// Trouble that will not get better by itself; `what` names the thing.
    pub fn stop(what: impl Into<String>) -> Self {
        Self { advice: Advice::Stop, what: what.into(), cause: None }
    }

    /// The same with other advice.
    #[must_use]
    pub fn with_advice(mut self, advice: Advice) -> Self {
        self.advice = advice;
        self
    }

    /// The same with what lies behind it.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What was asked for is wrong; `what` names the thing.
    pub fn refuse(what: impl Into<String>) -> Self {
        Self::stop(what).with_advice(Advice::Refuse)
    }

    /// All is to end; `what` was left undone.
    pub fn over(what: impl Into<String>) -> Self {
        Self::stop(what).with_advice(Advice::Over)
    }

    /// Trouble with one file or folder.
    pub fn at(path: &Path, what: impl std::fmt::Display) -> Self {
        Self::stop(format!("{}: {what}", path.display()))
    }

    /// A file or folder that was asked for wrongly.
    pub fn refused(path: &Path, what: impl std::fmt::Display) -> Self {
        Self::at(path, what).with_advice(Advice::Refuse)
    }

    /// What to do about it.
    pub fn advice(&self) -> Advice {
        self.advice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_the_thing_and_the_chain_has_the_cause() {
        let trouble = Trouble::at(Path::new("a.jsonl"), "line 7, byte 90: cannot be read")
            .because(std::io::Error::other("the disk is gone"));
        assert_eq!(trouble.to_string(), "a.jsonl: line 7, byte 90: cannot be read");
        assert_eq!(trouble.source().map(ToString::to_string).as_deref(), Some("the disk is gone"));
        assert_eq!(trouble.advice(), Advice::Stop);
    }
}
