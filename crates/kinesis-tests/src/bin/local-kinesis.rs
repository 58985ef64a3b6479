//! A local Kinesis as a process of its own, for walking through it on one machine; docs/kinesis-walkthrough.md uses it.
//!
//! `local-kinesis [--stamps FILE] PORT NAME:SHARDS...` serves these streams on the loopback until it is killed, and says where once they are there;
//! port 0: one that is free; with `--stamps` it writes when each record came and went, for `loadgen measure`. `local-kinesis read URL NAME` prints every record of a stream as a line, shard by shard, and `local-kinesis split
//! URL NAME SHARD` splits a shard in the middle of its keys.

use aws_sdk_kinesis::Client;
use cartguard_kinesis_tests::local;
use cartguard_kinesis_tests::proxy::{Proxy, Service, Tap};
use std::error::Error;
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

const USAGE: &str =
    "local-kinesis [--stamps FILE] PORT NAME:SHARDS... | read URL NAME | split URL NAME SHARD";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["read", url, name] => read(&local::client(url), name).await,
        ["split", url, name, shard] => split(&local::client(url), name, shard).await,
        ["--stamps", file, port, ref streams @ ..] => {
            let tap = Tap::create(Path::new(file)).map_err(|why| format!("{file}: {why}"))?;
            serve(port.parse().map_err(|_| USAGE)?, streams, Some(tap)).await
        }
        [port, ref streams @ ..] => serve(port.parse().map_err(|_| USAGE)?, streams, None).await,
        [] => Err(USAGE.into()),
    }
}

async fn serve(port: u16, streams: &[&str], tap: Option<Tap>) -> Result<(), Box<dyn Error>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    // Stamped records come and go through a proxy, which does nothing else to them.
    let behind = if tap.is_some() { SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) } else { address };
    let local = local::Local::start_at(behind, local::options())?;
    let client = local::client(&local.url());
    for stream in streams {
        let (name, shards) = stream.split_once(':').unwrap_or((stream, "1"));
        local::create_stream(&client, name, shards.parse()?).await;
    }
    let service = Service { one_subscriber: None, ..Service::default() };
    let proxy = match tap {
        Some(tap) => Some(Proxy::start_at(address, local.address(), service, Some(tap)).await?),
        None => None,
    };
    println!("{}", proxy.as_ref().map_or_else(|| local.url(), Proxy::url));
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
