//! What the service, or the way to it, did to a call, and what it means.
//!
//! Holds: the text names the action and the thing it was about (S22), and nothing of credentials or payloads.

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;
use std::fmt::{self, Display};

/// What a failed call means to whoever made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Too fast, for this shard, this stream or a key of KMS.
    Throttled,
    /// In use: somebody else subscribed a moment ago, or a consumer is not active yet.
    Busy,
    /// An iterator older than its five minutes.
    Expired,
    /// No such stream, shard or consumer.
    Missing,
    /// The service does not take the arguments.
    Invalid,
    /// Not allowed, or not known who asks. It is mended without us, so it is waited for.
    Denied,
    /// More than the account may have.
    Limited,
    /// The network, a timeout, an error of the service itself, KMS: it passes.
    Passing,
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    pub kind: Kind,
    what: String,
}

impl Fault {
    /// Of a call `action` (as IAM names it) about `on`.
    pub fn of<E, R>(action: &str, on: &str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: fmt::Debug,
    {
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        let kind = code.map_or(Kind::Passing, kind_of);
        let why = match (code, error.as_service_error().and_then(ProvideErrorMetadata::message)) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_owned(),
            (None, _) => chain(error),
        };
        Self { kind, what: format!("kinesis:{action} on {on}: {why}") }
    }

    /// One that no call brought.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into() }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

fn kind_of(code: &str) -> Kind {
    match code {
        "ProvisionedThroughputExceededException" | "KMSThrottlingException" | "ThrottlingException" => {
            Kind::Throttled
        }
        "ResourceInUseException" => Kind::Busy,
        "ExpiredIteratorException" => Kind::Expired,
        "ResourceNotFoundException" => Kind::Missing,
        "InvalidArgumentException" | "ValidationException" => Kind::Invalid,
        "LimitExceededException" => Kind::Limited,
        "AccessDeniedException"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignatureException" => Kind::Denied,
        // ExpiredTokenException, KMSDisabledException, InternalFailureException, ServiceUnavailable …
        _ => Kind::Passing,
    }
}

/// Every cause, from the outside in; the debug forms of the SDK would bring headers along.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
