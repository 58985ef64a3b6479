//! A local Kinesis as a process of its own, for walking through it on one machine; docs/kinesis-walkthrough.md uses it.
//!
//! `local-kinesis PORT NAME:SHARDS...` serves these streams on the loopback until it is killed, and says where once they are there; port 0:
//! one that is free. `local-kinesis read URL NAME` prints every record of a stream as a line, shard by shard, and `local-kinesis split
//! URL NAME SHARD` splits a shard in the middle of its keys.

use aws_sdk_kinesis::Client;
use cartguard_kinesis_tests::local;
use std::error::Error;
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr};

const USAGE: &str = "local-kinesis PORT NAME:SHARDS... | read URL NAME | split URL NAME SHARD";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["read", url, name] => read(&local::client(url), name).await,
        ["split", url, name, shard] => split(&local::client(url), name, shard).await,
        [port, ref streams @ ..] => serve(port.parse().map_err(|_| USAGE)?, streams).await,
        [] => Err(USAGE.into()),
    }
}

async fn serve(port: u16, streams: &[&str]) -> Result<(), Box<dyn Error>> {
    let local = local::Local::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), local::options())?;
    let client = local::client(&local.url());
    for stream in streams {
        let (name, shards) = stream.split_once(':').unwrap_or((stream, "1"));
        local::create_stream(&client, name, shards.parse()?).await;
    }
    println!("{}", local.url());
    std::future::pending().await
}

async fn read(client: &Client, name: &str) -> Result<(), Box<dyn Error>> {
    let mut lines = Vec::new();
    for record in local::read_all(client, name).await {
        lines.extend_from_slice(record.data().as_ref());
        lines.push(b'\n');
    }
    match std::io::stdout().lock().write_all(&lines) {
        // `| head` wants no more.
        Err(why) if why.kind() != ErrorKind::BrokenPipe => Err(why.into()),
        _ => Ok(()),
    }
}

async fn split(client: &Client, name: &str, shard: &str) -> Result<(), Box<dyn Error>> {
    let listed = client.list_shards().stream_name(name).send().await?;
    let found = listed.shards().iter().find(|one| one.shard_id() == shard);
    let range =
        found.and_then(|one| one.hash_key_range()).ok_or_else(|| format!("{name}: has no {shard}"))?;
    let [first, last] = [range.starting_hash_key(), range.ending_hash_key()].map(str::parse::<u128>);
    let (first, last) = (first?, last?);
    let middle = (first + (last - first) / 2 + 1).to_string();
    client.split_shard().stream_name(name).shard_to_split(shard).new_starting_hash_key(middle).send().await?;
    Ok(())
}
