//! ferrokinesis in this process, on a port of its own.
//!
//! Holds: it listens on the loopback alone and ends with the value. Not here: faults (`proxy`).

use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::types::{Record, ShardIteratorType};
use aws_sdk_kinesis::{Client, config};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use ferrokinesis::store::StoreOptions;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Mutex;

/// Threads of the server. Its tasks hold a lock of a map while they wait for another task, and those that want the lock block their threads: with two
/// threads it stood still for good within a minute of 1,000 records/s.
const THREADS: usize = 16;

/// A local Kinesis; dropped, it ends.
pub struct Local {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Options whose streams are there at once.
pub fn options() -> StoreOptions {
    StoreOptions {
        create_stream_ms: 0,
        delete_stream_ms: 0,
        update_stream_ms: 0,
        shard_limit: 1_000,
        ..StoreOptions::default()
    }
}

impl Local {
    /// Starts one on a port that is free.
    pub fn start(options: StoreOptions) -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_at(free, options).expect("a port of the loopback")
    }

    /// Starts one there.
    pub fn start_at(address: SocketAddr, options: StoreOptions) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let serving = runtime.spawn(async move {
            let (app, _) = ferrokinesis::create_app(options);
            // It numbers records first and stores them later: of two puts at once the later numbers can be there first, and a reader that has them has
            // passed the others by. Kinesis does no such thing.
            let one_at_a_time = Arc::new(Mutex::new(()));
            let app = app.layer(from_fn(move |request: Request, next: Next| {
                let one_at_a_time = Arc::clone(&one_at_a_time);
                async move {
                    let _turn =
                        if changes_a_stream(&request) { Some(one_at_a_time.lock().await) } else { None };
                    next.run(request).await
                }
            }));
            let listener = tokio::net::TcpListener::from_std(listener)?;
            ferrokinesis::serve_plain_http(listener, app, std::future::pending()).await
        });
        drop(serving);
        Ok(Self { address, runtime: Some(runtime) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same for the SDK.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn changes_a_stream(request: &Request) -> bool {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    let action = target.and_then(|target| target.rsplit('.').next());
    matches!(action, Some("PutRecord" | "PutRecords" | "SplitShard" | "MergeShards"))
}

/// A client that tries nothing again: tests want to see each fault.
pub fn client(url: &str) -> Client {
    let config = config::Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(url);
    Client::from_conf(config.build())
}

/// Makes a stream and waits until it is there.
pub async fn create_stream(client: &Client, name: &str, shards: i32) {
    client.create_stream().stream_name(name).shard_count(shards).send().await.expect("a stream");
    loop {
        let summary = client.describe_stream_summary().stream_name(name).send().await.expect("a summary");
        let status =
            summary.stream_description_summary().map(|summary| summary.stream_status().as_str().to_owned());
        if status.as_deref() == Some("ACTIVE") {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Every record of a stream, shard by shard.
pub async fn read_all(client: &Client, name: &str) -> Vec<Record> {
    let shards = client.list_shards().stream_name(name).send().await.expect("shards");
    let mut records = Vec::new();
    for shard in shards.shards() {
        let iterator = client
            .get_shard_iterator()
            .stream_name(name)
            .shard_id(shard.shard_id())
            .shard_iterator_type(ShardIteratorType::TrimHorizon);
        let mut next = iterator.send().await.expect("an iterator").shard_iterator().map(str::to_owned);
        while let Some(iterator) = next {
            let answer = client.get_records().shard_iterator(iterator).send().await.expect("records");
            let is_end = answer.records().is_empty();
            records.extend_from_slice(answer.records());
            next = answer.next_shard_iterator().filter(|_| !is_end).map(str::to_owned);
        }
    }
    records
}
