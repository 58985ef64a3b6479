//! A client of Kinesis, by the SDK's own chain of credentials.
//!
//! settings -> **client** -> source, sink
//!
//! Holds: every call of it has a time after which it counts as failed.
//! Not here: which calls are made, and what is tried again.

use aws_config::BehaviorVersion;
use aws_config::sts::AssumeRoleProvider;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::config::{Region, StalledStreamProtectionConfig};
use aws_sdk_kinesis::{Client, config};
use std::time::Duration;

/// The SDK has none of these by default but the first. A call takes milliseconds; twice what a busy service takes.
const CONNECT: Duration = Duration::from_secs(3);
const ATTEMPT: Duration = Duration::from_secs(10);

/// Where Kinesis is and who asks; what is none the environment and the machine give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientSettings {
    pub region: Option<String>,
    /// Of the shared configuration files.
    pub profile: Option<String>,
    /// Another place than the region's.
    pub endpoint_url: Option<String>,
    /// ARN of the role to take on.
    pub assume_role: Option<String>,
}

/// Makes a client; asks nobody for anything but, with `assume_role`, the credentials of the role at the first call.
pub async fn connect(settings: &ClientSettings) -> Client {
    Client::from_conf(builder(settings, ATTEMPT).await.build())
}

/// The same client for a source: the SDK tries nothing again, since only the source knows where to go on, and its own watch over
/// stalled streams is off, since a quiet shard is none (`fan_out` has a deadline of its own). `longest`: that a call may take.
pub fn once(client: &Client, longest: Duration) -> Client {
    let own = client.config().to_builder().retry_config(RetryConfig::disabled());
    let own = own.stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Client::from_conf(own.timeout_config(timeouts(longest)).build())
}

fn timeouts(longest: Duration) -> TimeoutConfig {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT.min(longest));
    timeouts.operation_attempt_timeout(longest).build()
}

async fn builder(settings: &ClientSettings, longest: Duration) -> config::Builder {
    let timeouts = timeouts(longest);
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts);
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    let shared = loader.load().await;
    let mut own = config::Builder::from(&shared);
    if let Some(role) = &settings.assume_role {
        let provider =
            AssumeRoleProvider::builder(role).configure(&shared).session_name("cartguard").build().await;
        own = own.credentials_provider(provider);
    }
    // Of Kinesis alone: the role's credentials come from where they always come from.
    if let Some(url) = &settings.endpoint_url {
        own = own.endpoint_url(url);
    }
    own
}
