//! Signals that come before there is anything to finish: Kinesis is away at the start, or goes away while what was bound is done again. And what
//! a stream of bombs does to the memory of the process.
//!
//! Holds: a test waits for a line, an answer or an exit, never for a time. Needs `cartguard` beside it, as `crash` does.

mod process;

use aws_sdk_kinesis::primitives::Blob;
use cartguard_kinesis_tests::local::{Local, client, create_stream, options};
use cartguard_kinesis_tests::proxy::{Fault, Proxy, Service, When};
use process::{Killed, cartguard, config, lines};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{ChildStderr, Command};
use std::time::Duration;

/// A run that is looked at by what it complains of.
struct Run {
    child: Killed,
    told: BufReader<ChildStderr>,
}

impl Run {
    fn start(folder: &Path) -> Self {
        let mut child = cartguard(folder, &["run", "--config", "c.toml"]).spawn().expect("it starts");
        let told = BufReader::new(child.stderr.take().expect("piped"));
        Self { child: Killed(child), told }
    }

    /// The next line that holds this.
    #[track_caller]
    fn tells(&mut self, part: &str) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            assert!(self.told.read_line(&mut line).expect("text") > 0, "it ended without {part}: {all}");
            if line.contains(part) {
                return line;
            }
            all += &line;
        }
    }

    /// Asks it to end; its code and what it says then.
    fn ends(mut self) -> (Option<i32>, String) {
        let asked = Command::new("kill").args(["-TERM", &self.child.0.id().to_string()]).status();
        assert!(asked.expect("kill runs").success());
        let mut rest = String::new();
        self.told.read_to_string(&mut rest).expect("text");
        (self.child.0.wait().expect("it ends").code(), rest)
    }
}

/// Lines of status often enough to count, and a watchdog that ends whatever stands still.
const IMPATIENT: &str = "[log]\nevery = \"50ms\"\n[watchdog]\nafter = \"2s\"\nabort = true\n";

/// Some status lines that say this phase: longer than the watchdog waits.
fn stays(run: &mut Run, phase: &str) {
    for _ in 0..12 {
        let line = run.tells("{\"log\":\"status\"");
        let status: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(status["status"]["phase"], phase, "{line}");
    }
}

#[test]
fn a_start_while_kinesis_is_away_ends_when_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    // A port that nobody listens on any more.
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let text = config(&format!("http://{free}"), "polling") + IMPATIENT;
    fs::write(folder.path().join("c.toml"), text).expect("written");
    let mut run = Run::start(folder.path());
    run.tells("it is tried again");
    stays(&mut run, "starting");
    let (code, told) = run.ends();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("nothing was taken, and nothing is lost"), "{told}");
}

#[test]
fn a_recovery_while_kinesis_is_away_ends_when_asked_and_loses_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let (local, proxy) = runtime.block_on(async {
        let local = Local::start(options());
        let proxy = Proxy::start(local.address(), Service::default()).await;
        (local, proxy)
    });
    let client = client(&local.url());
    let put = |number: u64| {
        let text = format!("{{\"event_id\":\"e{number}\"}}");
        let call = client.put_record().stream_name("in").partition_key(number.to_string());
        runtime.block_on(call.data(Blob::new(text)).send()).expect("the local server takes it");
    };
    runtime.block_on(async {
        for stream in ["in", "decisions", "alerts", "rejects"] {
            create_stream(&client, stream, 1).await;
        }
    });
    // No snapshot: everything is done again.
    let text = config(&proxy.url(), "polling").replace("150ms", "1h").replace("every_records = 700", "");
    fs::write(folder.path().join("c.toml"), text + IMPATIENT).expect("written");
    // Records without a time: each is a reject, which is an output as good as any.
    (0..40).for_each(&put);
    let delivered = || runtime.block_on(lines(&client, "rejects"));
    {
        let mut killed = Run::start(folder.path());
        while delivered().len() < 40 {
            std::thread::yield_now();
        }
        killed.child.0.kill().expect("it runs");
    }
    for action in ["GetRecords", "GetShardIterator"] {
        // What a call meets that is never answered, and what it meets that is refused.
        for fault in [Fault::Hang, Fault::refuse("KMSThrottlingException")] {
            let rule = proxy.plan().add(action, When::Always, fault);
            let mut run = Run::start(folder.path());
            stays(&mut run, "recovering");
            let (code, told) = run.ends();
            assert_eq!(code, Some(0), "{action}: {told}");
            proxy.plan().remove(rule);
        }
    }
    (40..50).for_each(&put);
    let mut run = Run::start(folder.path());
    while delivered().iter().collect::<BTreeSet<_>>().len() < 50 {
        std::thread::yield_now();
    }
    run.tells("\"phase\":\"running\"");
    let (code, told) = run.ends();
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(delivered().iter().collect::<BTreeSet<_>>().len(), 50, "every copy is equal");
}

/// The most memory that a process ever had, KiB; none where the system does not say.
fn peak_kib(child: &Killed) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.0.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// S18: as much as one batch, however many wait. What waits is packed, and few bytes: its own bound is held by `source`
/// (`what_waits_for_the_engine_is_bounded`).
#[test]
fn many_bombs_take_no_more_memory_than_some() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let local = Local::start(options());
    let client = client(&local.url());
    runtime.block_on(async {
        for stream in ["in", "decisions", "alerts", "rejects"] {
            create_stream(&client, stream, 1).await;
        }
    });
    // Some hundred to one: within what a payload may become.
    let unpacked: Vec<u8> =
        (0..BOMB_KIB << 10).map(|at| if at % 97 == 0 { (at / 97 % 251) as u8 } else { b' ' }).collect();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&unpacked).expect("memory");
    let packed = packed.finish().expect("memory");
    let put = |_| {
        let call = client.put_record().stream_name("in").partition_key("k").data(Blob::new(packed.clone()));
        runtime.block_on(call.send()).expect("the local server takes it");
    };
    let start = "start = \"TRIM_HORIZON\"\n";
    let text = config(&local.url(), "polling").replace(start, &format!("{start}buffer = \"1MiB\"\n"));
    fs::write(folder.path().join("c.toml"), text).expect("written");
    // More than the queue holds.
    (0..SOME).for_each(put);
    let mut run = Run::start(folder.path());
    let mut rejected = |wanted: usize| {
        while runtime.block_on(lines(&client, "rejects")).len() < wanted {
            assert!(run.child.0.try_wait().expect("a child").is_none(), "it ended before {wanted} rejects");
            std::thread::sleep(Duration::from_millis(20));
        }
        peak_kib(&run.child)
    };
    let Some(some_kib) = rejected(SOME) else {
        println!("skipped: the system does not say what a process takes");
        return;
    };
    (0..MANY).for_each(put);
    let many_kib = rejected(SOME + MANY).expect("it still runs");
    println!("{some_kib} KiB after {SOME}, {many_kib} KiB after {MANY} more");
    assert!(many_kib < some_kib + 6 * BOMB_KIB, "{MANY} more: {some_kib} KiB, then {many_kib}");
    let (code, told) = run.ends();
    assert_eq!(code, Some(0), "{told}");
}

/// What one is when it is unpacked.
const BOMB_KIB: u64 = 9 << 10;
const SOME: usize = 16;
const MANY: usize = 40;
