//! A local Kinesis as a process of its own: `local-kinesis PORT NAME:SHARDS...` on the loopback, until it is killed.
//!
//! Says where it listens once the streams are there. Port 0: one that is free.

use cartguard_kinesis_tests::local;
use std::net::{Ipv4Addr, SocketAddr};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().ok_or("local-kinesis PORT NAME:SHARDS...")?.parse()?;
    let local =
        local::Local::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), local::options()).await?;
    let client = local::client(&local.url());
    for stream in arguments {
        let (name, shards) = stream.split_once(':').unwrap_or((&stream, "1"));
        local::create_stream(&client, name, shards.parse()?).await;
    }
    println!("{}", local.url());
    std::future::pending().await
}
