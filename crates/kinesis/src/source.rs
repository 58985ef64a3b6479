//! A stream of Kinesis as what a source asks for: its readers and listings, on a thread of the SDK's.
//!
//! `reader`, `stream` (async) -> **source** -> `cartguard_shards::ShardSource` (blocking)

use crate::backoff::Backoff;
use crate::client;
use crate::fault::Kind;
use crate::gate::Gate;
use crate::kept;
use crate::limits::OPEN_PATIENCE;
use crate::reader::{Reader, Teller};
use crate::runtime::Runtime;
use crate::settings::{Begin, Limits, Settings, Voice};
use crate::stream::{Changed, Stream, Target, now_ms};
use aws_sdk_kinesis::Client;
use cartguard_history::Start;
use cartguard_io::{Advice, Trouble};
use cartguard_shards::{Event, From, Kept, Mode, Order, Room, Service, ShardSource};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;

/// All shards of a stream.
pub type KinesisSource = ShardSource<KinesisService>;

/// Finds the stream and lists its shards; nothing is read yet. Waited for until `is_over`, which is trouble with that advice.
pub fn open(settings: Settings, voice: Voice, is_over: &dyn Fn() -> bool) -> Result<KinesisSource, Trouble> {
    let runtime = Runtime::start("kinesis-source")?;
    let access = settings.access.clone();
    let client = runtime.wait(async move { client::connect(&access).await }, is_over)?;
    open_on(runtime, client, settings, voice, is_over)
}

/// The same with a client that has its credentials; `settings.access` is not looked at.
pub fn open_with(
    client: &Client,
    settings: Settings,
    voice: Voice,
    is_over: &dyn Fn() -> bool,
) -> Result<KinesisSource, Trouble> {
    open_on(Runtime::start("kinesis-source")?, client.clone(), settings, voice, is_over)
}

fn open_on(
    runtime: Runtime,
    client: Client,
    settings: Settings,
    voice: Voice,
    is_over: &dyn Fn() -> bool,
) -> Result<KinesisSource, Trouble> {
    // Before the listing: what is put from here on is within the start, whichever shard it goes to.
    let start = match settings.begin {
        Begin::Oldest => Start::Oldest,
        Begin::At(ms) => Start::At(ms),
        Begin::Latest => Start::At(latest(now_ms())),
    };
    let client = client::once(&client, settings.limits.call_timeout);
    let (target, longest) = (Target::new(&settings.stream), settings.limits.backoff_max);
    let mut teller = Teller::new(voice.clone());
    let found = async move {
        let mut backoff = Backoff::new(longest);
        let begun = Instant::now();
        loop {
            let found = match Stream::find(client.clone(), target.clone()).await {
                Ok(stream) => stream.shards().await.map(|shards| (stream, shards)),
                Err(fault) => Err(fault),
            };
            let fault = match found {
                Ok(found) => return Ok(found),
                Err(fault) => fault,
            };
            let what = format!("stream {target}: cannot be opened");
            match fault.kind {
                Kind::Missing | Kind::Invalid | Kind::Denied => {
                    return Err(Trouble::stop(what).because(fault).with_advice(Advice::Refuse));
                }
                _ if begun.elapsed() > OPEN_PATIENCE => return Err(Trouble::stop(what).because(fault)),
                _ => {}
            }
            teller.lasting(&fault);
            tokio::time::sleep(backoff.pause()).await;
        }
    };
    let (stream, shards) = runtime.wait(found, is_over)??;
    voice(&format!("stream {}: {} shards listed", stream.identity.arn, shards.len()));
    let service = KinesisService::new(runtime, stream, &settings, voice);
    Ok(ShardSource::new(
        service,
        cartguard_shards::Settings { start, accept_gap: settings.accept_gap },
        shards,
    ))
}

/// See the module.
pub struct KinesisService {
    stream: Arc<Stream>,
    /// By subscription: the consumer's name.
    consumer: Option<String>,
    limits: Limits,
    voice: Voice,
    /// Of listings.
    backoff: Backoff,
    readers: Vec<(u64, AbortHandle)>,
    events: Receiver<Event>,
    to_events: Sender<Event>,
    // Last: it ends the readers, which send to the above.
    runtime: Runtime,
}

impl KinesisService {
    fn new(runtime: Runtime, stream: Stream, settings: &Settings, voice: Voice) -> Self {
        let (to_events, events) = unbounded();
        Self {
            stream: Arc::new(stream),
            consumer: (settings.mode == Mode::FanOut).then(|| settings.consumer.clone()),
            limits: settings.limits,
            voice,
            backoff: Backoff::new(settings.limits.backoff_max),
            readers: Vec::new(),
            events,
            to_events,
            runtime,
        }
    }
}

impl Service for KinesisService {
    fn identity(&self) -> String {
        self.stream.identity.to_string()
    }

    fn kept_since_ms(&self) -> i64 {
        now_ms() - self.stream.retention.as_millis() as i64
    }

    fn now_ms(&self) -> i64 {
        now_ms()
    }

    fn read(&mut self, order: Order) -> Arc<dyn Room> {
        let gate = Arc::new(Gate::new(self.limits.buffer_bytes, self.limits.buffer_records));
        let reading = order.reading;
        let (stream, events, voice) = (self.stream.clone(), self.to_events.clone(), self.voice.clone());
        let reader = Reader::new(stream, order, gate.clone(), events, self.limits, voice);
        let task = self.runtime.spawn(reader.run(self.consumer.clone()));
        self.readers.push((reading, task.abort_handle()));
        gate
    }

    fn close(&mut self, reading: u64) {
        self.readers.retain(|(number, task)| {
            if *number == reading {
                task.abort();
            }
            *number != reading
        });
    }

    fn list(&mut self, is_first: bool) {
        if is_first {
            self.backoff.reset();
        }
        let (stream, events) = (self.stream.clone(), self.to_events.clone());
        let mut teller = Teller::new(self.voice.clone());
        let mut backoff = self.backoff.clone();
        let first = self.backoff.pause();
        self.runtime.spawn(async move {
            tokio::time::sleep(first).await;
            let event = loop {
                let fault = match stream.check().await {
                    Ok(()) => match stream.shards().await {
                        Ok(shards) => break Event::Listed(shards),
                        Err(fault) => fault,
                    },
                    Err(Changed::Unknown(fault)) => fault,
                    Err(changed) => break Event::Fatal(Trouble::stop(changed.to_string())),
                };
                teller.lasting(&fault);
                tokio::time::sleep(backoff.pause()).await;
            };
            // The source may be gone already.
            let _ = events.send(event);
        });
    }

    fn kept(
        &mut self,
        places: Vec<(String, From)>,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Vec<Kept>, Trouble> {
        let longest = self.limits.backoff_max;
        let (stream, voice) = (self.stream.clone(), self.voice.clone());
        let looks = async move {
            // Ends them where it is ended.
            let mut tasks = tokio::task::JoinSet::new();
            for (number, (shard, from)) in places.into_iter().enumerate() {
                let (stream, teller) = (stream.clone(), Teller::new(voice.clone()));
                tasks.spawn(
                    async move { (number, kept::look(&stream, &shard, &from, longest, teller).await) },
                );
            }
            let mut kept = Vec::new();
            while let Some(looked) = tasks.join_next().await {
                kept.push(looked.map_err(|why| Trouble::stop("a look at a shard was ended").because(why))?);
            }
            kept.sort_by_key(|(number, _)| *number);
            kept.into_iter().map(|(_, kept)| kept).collect()
        };
        self.runtime.wait(looks, is_over)?
    }

    fn next(&mut self, patience: Duration) -> Option<Event> {
        // The service itself holds a sender, so only time ends the wait.
        if patience.is_zero() { self.events.try_recv().ok() } else { self.events.recv_timeout(patience).ok() }
    }

    fn say(&self, what: &str) {
        (self.voice)(what);
    }
}

/// The second of a time: a server may keep arrivals in whole seconds, and `AT_TIMESTAMP` would then miss what arrives in this one.
fn latest(now_ms: i64) -> i64 {
    now_ms - now_ms.rem_euclid(1_000)
}
