//! What the service does and the local server does not.
//!
//! Paged and filtered `ListShards`, by name, ARN or token alone; `ChildShards` in `GetRecords` at the end of a shard; 10 MB an
//! answer; one subscriber a shard and consumer, where a second one within 5 s gets `ResourceInUse` and a later one takes over.
//!
//! Not here: faults (`plan`), the wire (`super`).

use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What is done; by default all of it, as the service does.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Shards in an answer of `ListShards`.
    pub shards_page: usize,
    /// Whether `GetRecords` names children at a shard's end.
    pub child_shards: bool,
    /// Bytes of data in an answer of `GetRecords`.
    pub answer_bytes: usize,
    /// Within which a second subscription is refused; none: both go on.
    pub one_subscriber: Option<Duration>,
    /// How long streams say that they keep records; none: what the local one says.
    pub retention_hours: Option<u64>,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            shards_page: 1_000,
            child_shards: true,
            answer_bytes: 10 * 1024 * 1024,
            one_subscriber: Some(Duration::from_secs(5)),
            retention_hours: None,
        }
    }
}

/// What it must remember.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Iterator -> stream and shard.
    iterators: Mutex<HashMap<String, (String, String)>>,
    /// By consumer and shard.
    subscribers: Mutex<HashMap<(String, String), Subscriber>>,
}

/// Since when somebody listens, and how to end it.
type Subscriber = (Instant, watch::Sender<bool>);

/// The stream that a request names, by name or ARN.
pub(super) fn stream_of(request: &Value) -> String {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let of_arn = |arn: &str| arn.split('/').nth(1).unwrap_or_default().to_owned();
    text("StreamName")
        .map(str::to_owned)
        .or_else(|| text("StreamARN").map(of_arn))
        .or_else(|| text("ConsumerARN").map(of_arn))
        .or_else(|| text("NextToken").and_then(|token| Some(Token::read(token)?.stream)))
        .unwrap_or_default()
}

/// Where a listing goes on.
struct Token {
    stream: String,
    filter: Value,
    from: usize,
}

impl Token {
    fn read(text: &str) -> Option<Self> {
        let token: Value = serde_json::from_str(text).ok()?;
        Some(Self {
            stream: token["stream"].as_str()?.to_owned(),
            filter: token["filter"].clone(),
            from: usize::try_from(token["from"].as_u64()?).ok()?,
        })
    }

    fn write(&self) -> String {
        json!({ "stream": self.stream, "filter": self.filter, "from": self.from }).to_string()
    }
}

/// A page of `ListShards` from all shards of the stream; an error's code where the service would say one.
pub(super) fn list_shards(
    service: Service,
    request: &Value,
    all: &[Value],
    created_s: f64,
) -> Result<Value, &'static str> {
    let token = match request.get("NextToken").and_then(Value::as_str) {
        None => None,
        // A token carries everything else with it.
        Some(_) if request.get("StreamName").is_some() || request.get("StreamARN").is_some() => {
            return Err("InvalidArgumentException");
        }
        Some(text) => Some(Token::read(text).ok_or("ExpiredNextTokenException")?),
    };
    let filter = token.as_ref().map_or_else(
        || request.get("ShardFilter").cloned().unwrap_or(Value::Null),
        |token| token.filter.clone(),
    );
    let after = request.get("ExclusiveStartShardId").and_then(Value::as_str);
    let chosen: Vec<&Value> = all
        .iter()
        .filter(|shard| after.is_none_or(|after| shard["ShardId"].as_str() > Some(after)))
        .filter(|shard| is_chosen(&filter, shard, created_s))
        .collect();
    let from = token.map_or(0, |token| token.from).min(chosen.len());
    let asked = request.get("MaxResults").and_then(Value::as_u64).unwrap_or(1_000) as usize;
    let until = (from + asked.min(service.shards_page)).min(chosen.len());
    let mut answer = json!({ "Shards": &chosen[from..until] });
    if until < chosen.len() {
        let token = Token { stream: stream_of(request), filter, from: until };
        answer["NextToken"] = token.write().into();
    }
    Ok(answer)
}

/// Closed shards have an end of their sequence numbers. Their time of closing is in the numbers alone, so a shard counts as open
/// at every time at which the stream was there, and a closed one from the beginning.
fn is_chosen(filter: &Value, shard: &Value, created_s: f64) -> bool {
    let is_open = shard["SequenceNumberRange"].get("EndingSequenceNumber").is_none_or(Value::is_null);
    let is_first = shard.get("ParentShardId").is_none_or(Value::is_null);
    match filter["Type"].as_str() {
        Some("AT_LATEST") => is_open,
        Some("AT_TRIM_HORIZON") => is_first,
        Some("AFTER_SHARD_ID") => shard["ShardId"].as_str() > filter["ShardId"].as_str(),
        Some("AT_TIMESTAMP") => {
            if filter["Timestamp"].as_f64().unwrap_or(0.0) <= created_s + 1.0 {
                is_first
            } else {
                is_open
            }
        }
        // FROM_TRIM_HORIZON, FROM_TIMESTAMP, none: nothing here is past its retention.
        _ => true,
    }
}

/// Children of a shard as `GetRecords` names them.
pub(super) fn children(all: &[Value], shard: &str) -> Vec<Value> {
    let parents = |child: &Value| -> Vec<String> {
        ["ParentShardId", "AdjacentParentShardId"]
            .iter()
            .filter_map(|name| child.get(name).and_then(Value::as_str).map(str::to_owned))
            .collect()
    };
    let of_shard = all.iter().filter(|child| parents(child).iter().any(|parent| parent == shard));
    of_shard
        .map(|child| {
            json!({ "ShardId": child["ShardId"], "ParentShards": parents(child), "HashKeyRange": child["HashKeyRange"] })
        })
        .collect()
}

/// How many of an answer's first records are within the bytes; none: all are.
pub(super) fn records_within(answer: &Value, bytes_max: usize) -> Option<usize> {
    let records = answer["Records"].as_array()?;
    let mut bytes = 0;
    for (count, record) in records.iter().enumerate() {
        bytes += record["Data"].as_str().map_or(0, |data| data.len() / 4 * 3);
        if bytes > bytes_max {
            return Some(count.max(1)).filter(|&count| count < records.len());
        }
    }
    None
}

impl Memory {
    /// An answer that carries an iterator.
    pub(super) fn saw_iterator(&self, request: &Value, answer: &Value) {
        let mut iterators = self.iterators.lock().expect("no thread panics with it");
        if let (Some(iterator), Some(shard)) = (answer["ShardIterator"].as_str(), request["ShardId"].as_str())
        {
            iterators.insert(iterator.to_owned(), (stream_of(request), shard.to_owned()));
        }
        if let (Some(before), Some(next)) =
            (request["ShardIterator"].as_str(), answer["NextShardIterator"].as_str())
            && let Some(place) = iterators.get(before).cloned()
        {
            iterators.insert(next.to_owned(), place);
        }
    }

    /// Stream and shard of an iterator.
    pub(super) fn place(&self, iterator: &str) -> Option<(String, String)> {
        self.iterators.lock().expect("no thread panics with it").get(iterator).cloned()
    }

    /// A subscription begins: what tells it that another one took over, or that it is refused.
    pub(super) fn subscribe(&self, request: &Value, within: Duration) -> Option<watch::Receiver<bool>> {
        let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
        let mut subscribers = self.subscribers.lock().expect("no thread panics with it");
        let place = (text("ConsumerARN"), text("ShardId"));
        if let Some((since, end)) = subscribers.get(&place) {
            // Nobody holds the other end: that subscription is over.
            if end.receiver_count() > 0 && since.elapsed() < within {
                return None;
            }
            let _ = end.send(true);
        }
        let (end, ended) = watch::channel(false);
        subscribers.insert(place, (Instant::now(), end));
        Some(ended)
    }
}
