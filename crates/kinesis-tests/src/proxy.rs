//! A Kinesis with faults: HTTP in front of a local one, by a plan.
//!
//! SDK -> **proxy** (`plan`: what goes wrong; `service`: what the local one lacks; `stream`: event streams; `tap`: when records came past) ->
//! `local`
//!
//! Speaks HTTP/1.1 and h2c to its clients, as they begin, and HTTP/1.1 to the local one.
//!
//! Holds: without a rule and beside what `service` says a call is passed on as it is; a call that is refused, reset or hung is
//! not done; one whose answer is lost or cut is.

mod plan;
mod service;
mod stream;
mod tap;

pub use plan::{Fault, Plan, RuleId, When};
pub use service::Service;
pub use tap::Tap;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use stream::Body;
use tokio::task::JoinHandle;

/// Bytes of a call at most: what the service takes for its largest, in base64.
const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The connection is to end without an answer.
#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the plan breaks this connection")
    }
}

impl std::error::Error for Broken {}

/// A proxy; dropped, it ends with every connection.
pub struct Proxy {
    address: SocketAddr,
    plan: Plan,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts one in front of `upstream`, on a port that is free.
    pub async fn start(upstream: SocketAddr, service: Service) -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_at(free, upstream, service, None).await.expect("a port of the loopback")
    }

    /// Starts one there, that says when records come past.
    pub async fn start_at(
        address: SocketAddr,
        upstream: SocketAddr,
        service: Service,
        tap: Option<Tap>,
    ) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let plan = Plan::default();
        let shared = Arc::new(Shared {
            upstream,
            service,
            plan: plan.clone(),
            memory: service::Memory::default(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            tap,
        });
        let task = tokio::spawn(async move {
            // Ends its connections when it ends.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                // Small answers must not wait for acknowledgements.
                let _ = socket.set_nodelay(true);
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let service =
                        hyper::service::service_fn(move |request| handle(Arc::clone(&shared), request));
                    let builder = auto::Builder::new(TokioExecutor::new());
                    // A connection that the plan broke ends in an error.
                    let _ = builder.serve_connection(TokioIo::new(socket), service).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, plan, task })
    }

    /// For the SDK.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What goes wrong; nothing at first.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Shared {
    upstream: SocketAddr,
    service: Service,
    plan: Plan,
    memory: service::Memory,
    client: Client<HttpConnector, Full<Bytes>>,
    tap: Option<Tap>,
}

/// A call: what was asked and how.
struct Asked {
    action: String,
    headers: HeaderMap,
    /// Null where it is no JSON, as with health checks.
    value: Value,
    bytes: Bytes,
}

/// A call from its first byte to its answer.
async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Broken> {
    let (head, body) = request.into_parts();
    let bytes = body.collect().await.map_err(|_| Broken)?.to_bytes();
    let at_us = tap::now_us();
    let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let action = target.rsplit('.').next().unwrap_or_default().to_owned();
    let value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let mut asked = Asked { action, headers: head.headers, value, bytes };
    if asked.bytes.len() > REQUEST_BYTES_MAX {
        return Ok(refusal("InvalidArgumentException", 400));
    }
    let stream = stream_of(&shared, &asked.value);
    let faults = shared.plan.meet(&asked.action, &stream);
    if let Some(tap) =
        shared.tap.as_ref().filter(|_| ["PutRecord", "PutRecords"].contains(&asked.action.as_str()))
    {
        tap.put(&stream, at_us, asked.bytes.clone());
    }
    let mut failing = None;
    for fault in &faults {
        match fault {
            Fault::Refuse { code, status } => return Ok(refusal(code, *status)),
            Fault::RefuseKey { key, code } if has_key(&asked.value, key) => return Ok(refusal(code, 400)),
            Fault::Reset => return Err(Broken),
            Fault::Hang => std::future::pending().await,
            Fault::Delay(time) => tokio::time::sleep(*time).await,
            Fault::FailEntries { per_mille, seed, code } => failing = Some((*per_mille, *seed, *code)),
            // Of the answer.
            Fault::RefuseKey { .. }
            | Fault::LoseAnswer
            | Fault::Cut { .. }
            | Fault::ErrorEvent { .. }
            | Fault::Silence { .. }
            | Fault::Lag { .. } => {}
        }
    }
    let left_out = failing.and_then(|(per_mille, seed, code)| leave_out(&mut asked, per_mille, seed, code));
    if let Some(left_out) = &left_out
        && asked.value["Records"].as_array().is_some_and(Vec::is_empty)
    {
        // The service would refuse a call without records.
        return Ok(answer_of(&left_out.weave(json!({ "Records": [] }))));
    }
    let answer = match asked.action.as_str() {
        "SubscribeToShard" => return subscribe(&shared, &asked, &faults, stream).await,
        "ListShards" => shared.list_shards(&asked).await?,
        "GetRecords" => shared.get_records(&asked).await?,
        _ => shared.ask(&asked, &asked.value).await?,
    };
    if faults.contains(&Fault::LoseAnswer) {
        return Err(Broken);
    }
    let (status, mut value) = answer;
    if status.is_success() {
        shared.memory.saw_iterator(&asked.value, &value);
        if let (Some(hours), Some(summary)) =
            (shared.service.retention_hours, value.get_mut("StreamDescriptionSummary"))
        {
            summary["RetentionPeriodHours"] = hours.into();
        }
        if let Some(left_out) = left_out {
            value = left_out.weave(value);
        }
        for fault in &faults {
            if let Fault::Lag { ms } = fault {
                value["MillisBehindLatest"] = (*ms).into();
            }
        }
    }
    let bytes = bytes_of(&value);
    if let Some(tap) = shared.tap.as_ref().filter(|_| status.is_success() && asked.action == "GetRecords") {
        tap.given(&stream, bytes.clone());
    }
    let mut response = response_of(bytes);
    *response.status_mut() = status;
    for fault in faults {
        if let Fault::Cut { bytes } = fault {
            response = response.map(|body| stream::cut(body, bytes));
        }
    }
    Ok(response)
}

fn stream_of(shared: &Shared, request: &Value) -> String {
    let iterator = request.get("ShardIterator").and_then(Value::as_str);
    let of_iterator = iterator.and_then(|iterator| shared.memory.place(iterator));
    of_iterator.map_or_else(|| service::stream_of(request), |(stream, _)| stream)
}

/// Whether a record of a call has this partition key.
fn has_key(call: &Value, key: &str) -> bool {
    let records = call["Records"].as_array().map_or(&[][..], Vec::as_slice);
    records.iter().any(|record| record["PartitionKey"] == key)
}

/// Entries that are refused, with their places.
struct LeftOut {
    code: &'static str,
    is_out: Vec<bool>,
}

impl LeftOut {
    /// The answer about the others, with these between.
    fn weave(&self, answer: Value) -> Value {
        let mut done = answer["Records"].as_array().cloned().unwrap_or_default().into_iter();
        let refused =
            json!({ "ErrorCode": self.code, "ErrorMessage": "Rate exceeded for shard shardId-000000000000" });
        let records: Vec<Value> = self
            .is_out
            .iter()
            .map(|&is_out| if is_out { refused.clone() } else { done.next().unwrap_or(Value::Null) })
            .collect();
        let failed =
            records.iter().filter(|record| record.get("ErrorCode").is_some_and(|code| !code.is_null()));
        json!({ "FailedRecordCount": failed.count(), "Records": records })
    }
}

/// Takes the entries that are to fail out of a call.
fn leave_out(asked: &mut Asked, per_mille: u16, seed: u64, code: &'static str) -> Option<LeftOut> {
    let records = asked.value.get_mut("Records")?.as_array_mut()?;
    let is_out: Vec<bool> =
        (0..records.len() as u64).map(|at| plan::chance(seed, at) < u64::from(per_mille)).collect();
    let mut out = is_out.iter();
    records.retain(|_| !*out.next().expect("one a record"));
    Some(LeftOut { code, is_out })
}

/// A subscription, with what goes wrong in its stream of events.
async fn subscribe(
    shared: &Shared,
    asked: &Asked,
    faults: &[Fault],
    stream: String,
) -> Result<Response<Body>, Broken> {
    let ended = match shared.service.one_subscriber {
        None => None,
        Some(within) => match shared.memory.subscribe(&asked.value, within) {
            Some(ended) => Some(ended),
            None => return Ok(refusal("ResourceInUseException", 400)),
        },
    };
    let response = shared.pass_on(asked, &asked.value).await?;
    if faults.contains(&Fault::LoseAnswer) {
        return Err(Broken);
    }
    let tap = shared.tap.clone().map(|tap| (tap, stream));
    let mut response = response.map(|body| stream::frames(body, faults, ended, tap));
    response.headers_mut().remove(CONTENT_LENGTH);
    Ok(response)
}

impl Shared {
    /// The request of a call with another content.
    async fn pass_on(&self, asked: &Asked, value: &Value) -> Result<Response<Incoming>, Broken> {
        let bytes = if *value == asked.value && value.is_null() {
            asked.bytes.clone()
        } else {
            Bytes::from(value.to_string())
        };
        let mut request =
            Request::post(format!("http://{}/", self.upstream)).body(Full::new(bytes)).map_err(|_| Broken)?;
        *request.headers_mut() = asked.headers.clone();
        for name in [HOST, CONTENT_LENGTH] {
            request.headers_mut().remove(name);
        }
        self.client.request(request).await.map_err(|_| Broken)
    }

    async fn ask(&self, asked: &Asked, value: &Value) -> Result<(StatusCode, Value), Broken> {
        let response = self.pass_on(asked, value).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(|_| Broken)?.to_bytes();
        let value = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).map_err(|_| Broken)?
        };
        Ok((status, value))
    }

    /// Another action of the same caller.
    async fn ask_else(
        &self,
        asked: &Asked,
        action: &str,
        value: &Value,
    ) -> Result<(StatusCode, Value), Broken> {
        let mut headers = asked.headers.clone();
        let target = format!("Kinesis_20131202.{action}").parse().map_err(|_| Broken)?;
        headers.insert("x-amz-target", target);
        let other =
            Asked { action: action.to_owned(), headers, value: value.clone(), bytes: asked.bytes.clone() };
        self.ask(&other, value).await
    }

    /// All shards of a stream, in order.
    async fn all_shards(&self, asked: &Asked, stream: &str) -> Result<(StatusCode, Value), Broken> {
        self.ask_else(asked, "ListShards", &json!({ "StreamName": stream, "MaxResults": 10_000 })).await
    }

    async fn list_shards(&self, asked: &Asked) -> Result<(StatusCode, Value), Broken> {
        let stream = service::stream_of(&asked.value);
        let (status, all) = self.all_shards(asked, &stream).await?;
        if !status.is_success() {
            return Ok((status, all));
        }
        let of_stream = json!({ "StreamName": stream });
        let (_, summary) = self.ask_else(asked, "DescribeStreamSummary", &of_stream).await?;
        let created_s =
            summary["StreamDescriptionSummary"]["StreamCreationTimestamp"].as_f64().unwrap_or(0.0);
        let shards = all["Shards"].as_array().map_or(&[][..], Vec::as_slice);
        match service::list_shards(self.service, &asked.value, shards, created_s) {
            Ok(page) => Ok((StatusCode::OK, page)),
            Err(code) => Ok((StatusCode::BAD_REQUEST, error(code))),
        }
    }

    async fn get_records(&self, asked: &Asked) -> Result<(StatusCode, Value), Broken> {
        let (mut status, mut answer) = self.ask(asked, &asked.value).await?;
        if let Some(count) = service::records_within(&answer, self.service.answer_bytes) {
            let mut value = asked.value.clone();
            value["Limit"] = count.into();
            (status, answer) = self.ask(asked, &value).await?;
        }
        let iterator = asked.value["ShardIterator"].as_str().unwrap_or_default();
        let is_end = status.is_success() && answer.get("NextShardIterator").is_none_or(Value::is_null);
        if self.service.child_shards
            && is_end
            && let Some((stream, shard)) = self.memory.place(iterator)
        {
            let (_, all) = self.all_shards(asked, &stream).await?;
            let children = service::children(all["Shards"].as_array().map_or(&[][..], Vec::as_slice), &shard);
            answer["ChildShards"] = children.into();
        }
        Ok((status, answer))
    }
}

fn error(code: &str) -> Value {
    json!({ "__type": code, "message": "the plan says so" })
}

fn refusal(code: &str, status: u16) -> Response<Body> {
    let mut response = answer_of(&error(code));
    *response.status_mut() = StatusCode::from_u16(status).expect("a plan names statuses that are");
    response
}

fn answer_of(value: &Value) -> Response<Body> {
    response_of(bytes_of(value))
}

fn bytes_of(value: &Value) -> Bytes {
    if value.is_null() { Bytes::new() } else { Bytes::from(value.to_string()) }
}

fn response_of(bytes: Bytes) -> Response<Body> {
    let response = Response::builder().header(CONTENT_TYPE, "application/x-amz-json-1.1");
    response.body(stream::whole(bytes)).expect("a constant header is valid")
}
