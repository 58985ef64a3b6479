//! Why a model folder, or what belongs to one, was not taken.
//!
//! Holds: the message names the file first, and the place in it where there is one.

use cartguard_forest::ModelError;
use cartguard_io::Trouble;
use std::error::Error;
use std::fmt::{self, Display};
use std::io;
use std::path::{Path, PathBuf};

/// Prints as `FILE: what is wrong`.
#[derive(Debug)]
pub(crate) enum Fault {
    /// What was given is wrong: it will be as wrong the next time.
    Refused { file: PathBuf, what: String },
    /// A file that cannot be read or written.
    World { file: PathBuf, what: String, cause: io::Error },
}

impl Fault {
    pub(super) fn refused(file: &Path, what: impl Display) -> Self {
        Self::Refused { file: file.to_path_buf(), what: what.to_string() }
    }

    /// A short text of what could not be done, such as `cannot be read`.
    pub(super) fn world(file: &Path, what: &str, cause: io::Error) -> Self {
        Self::World { file: file.to_path_buf(), what: what.to_owned(), cause }
    }

    pub(super) fn model(file: &Path, error: &ModelError) -> Self {
        Self::refused(file, error)
    }

    /// Of rows: where something of the system lies behind it, it is the world's.
    pub(super) fn rows(file: &Path, trouble: &Trouble) -> Self {
        let mut whole = trouble.to_string();
        let name = format!("{}: ", file.display());
        let mut cause = trouble.source();
        while let Some(error) = cause {
            if let Some(system) = error.downcast_ref::<io::Error>()
                && system.raw_os_error().is_some()
            {
                let what = whole.strip_prefix(&name).unwrap_or(&whole).to_owned();
                return Self::world(file, &what, again(system));
            }
            whole = format!("{whole}: {error}");
            cause = error.source();
        }
        Self::refused(file, whole.strip_prefix(&name).unwrap_or(&whole))
    }
}

/// The same error once more; [`io::Error`] cannot be cloned.
fn again(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| io::Error::from(error.kind()), io::Error::from_raw_os_error)
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { file, what } => write!(f, "{}: {what}", file.display()),
            Self::World { file, what, cause } => write!(f, "{}: {what}: {cause}", file.display()),
        }
    }
}

// The cause stands in the message: it is not given as a source too, or a chain would print it twice.
impl Error for Fault {}
