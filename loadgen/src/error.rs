//! What can be wrong with settings and schedules.
//!
//! Holds: every message names the setting, its value and what would be accepted.

/// A setting outside of what the generator can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} = {value}: {accepted}")]
pub struct Error {
    /// Name of the setting, as the field of [`crate::Settings`] or the flag's word.
    pub name: &'static str,
    /// The value that was given.
    pub value: String,
    /// What would be accepted.
    pub accepted: &'static str,
}

/// `Ok` where `holds`, else an [`Error`] about `name`.
pub(crate) fn check(
    holds: bool,
    name: &'static str,
    value: impl std::fmt::Display,
    accepted: &'static str,
) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error { name, value: value.to_string(), accepted }) }
}
