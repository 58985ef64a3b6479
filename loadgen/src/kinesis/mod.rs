//! Kinesis, with the feature `aws`: events into a stream (`put`), and what came of them (`measure`).
//!
//! Not here: anything of the service that is measured. What both sides know is the stream and the ids in it.

pub(crate) mod measure;
mod pack;
pub(crate) mod put;
mod stamps;
mod tail;

use aws_config::BehaviorVersion;
use aws_sdk_kinesis::config::Region;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::{Client, config};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where Kinesis is.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Place {
    /// Region [default: as the SDK finds it].
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Another place than the region's, such as a local server.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
}

/// A client by the SDK's own chain of credentials, which tries nothing again: what is, is counted here.
async fn client(place: &Place) -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(10))
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts);
    if let Some(region) = &place.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let shared = loader.load().await;
    let mut own = config::Builder::from(&shared).retry_config(RetryConfig::disabled());
    if let Some(url) = &place.endpoint_url {
        own = own.endpoint_url(url);
    }
    Client::from_conf(own.build())
}

/// Of the wall clock: what two processes share.
fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

/// A text or number of an object, by the first place where its name stands.
fn member<'a>(line: &'a [u8], name: &str) -> Option<&'a str> {
    let mark = format!("\"{name}\":");
    let at = line.windows(mark.len()).position(|bytes| bytes == mark.as_bytes())? + mark.len();
    let rest = str::from_utf8(&line[at..]).ok()?.trim_start();
    match rest.strip_prefix('"') {
        Some(text) => text.find('"').map(|end| &text[..end]),
        None => rest.find([',', '}', ']']).map(|end| &rest[..end]),
    }
}

/// The id of an event, in whatever world.
fn id(line: &[u8]) -> Option<&str> {
    member(line, "event_id").or_else(|| member(line, "transaction_id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found() {
        let line = br#"{"event_id":"e1","n": 12,"x":{"customer_id":"c"}}"#;
        assert_eq!(id(line), Some("e1"));
        assert_eq!(member(line, "n"), Some("12"));
        assert_eq!(member(line, "customer_id"), Some("c"));
        assert_eq!(member(line, "card_id"), None);
    }
}
