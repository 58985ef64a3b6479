//! Exit codes: what the process tells whoever started it.

use cartguard_io::{Advice, Trouble};
use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: all was done; rejected records do not change that.
    Done,
    /// 1: the world or a bug of ours stopped it: a file that cannot be read, a sink that is gone.
    Failed,
    /// 2: what was asked for is wrong: arguments, configuration, features file, model.
    Refused,
    /// 130: SIGINT came before a replay's end.
    Interrupted,
    /// 143: SIGTERM came before a replay's end.
    Terminated,
}

/// What was asked for is wrong, and will be as wrong the next time.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refusal(pub(crate) String);

impl Exit {
    /// Of a command that ended with an error: whose fault it is.
    pub(crate) fn of(why: &anyhow::Error) -> Self {
        let trouble = why.downcast_ref::<Trouble>();
        let is_refused = why.is::<Refusal>()
            || why.is::<loadgen::Error>()
            || trouble.is_some_and(|trouble| trouble.advice() == Advice::Refuse);
        if is_refused { Self::Refused } else { Self::Failed }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Refused => 2,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        })
    }
}
