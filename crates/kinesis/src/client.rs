//! The SDK's client, as source and sink use it.
//!
//! Holds: every call has a bound in time; the SDK tries nothing again, since only its caller knows where to go on; the SDK's own
//! watch over stalled streams is off, since a quiet shard is none (`fan_out` has a deadline of its own).

use crate::limits::CONNECT_TIMEOUT;
use crate::settings::Access;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::{SharedCredentialsProvider, StalledStreamProtectionConfig};
use std::time::Duration;

/// A client; asks nobody but the sources of credentials.
pub async fn client(access: &Access, call_timeout: Duration) -> Client {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(region) = &access.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &access.profile {
        loader = loader.profile_name(profile);
    }
    let mut config = loader.load().await;
    if let Some(role) = &access.assume_role {
        // Of the service, not of the endpoint given below, which may be a local one.
        let provider = AssumeRoleProvider::builder(role).session_name("cartguard").configure(&config);
        let provider = provider.build().await;
        config = config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build();
    }
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT.min(call_timeout))
        .operation_attempt_timeout(call_timeout)
        .operation_timeout(call_timeout)
        .build();
    let mut builder = aws_sdk_kinesis::config::Builder::from(&config)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(endpoint) = &access.endpoint_url {
        builder = builder.endpoint_url(endpoint);
    }
    Client::from_conf(builder.build())
}
