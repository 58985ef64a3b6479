//! Records of a server that is not ours to run: kinesis-local of npm.

use crate::MODES;
use crate::consumed::{Log, Rig, read};
use crate::process::Killed;
use cartguard_io::Replayable as _;
use cartguard_kinesis::{Begin, Mode};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

/// Another server's word, with few records: it takes ever longer for more, and its subscriptions of a shard that was closed never end. Skipped where
/// `CARTGUARD_KINESIS_LOCAL` does not name the `main.js` of the npm package kinesis-local.
#[test]
fn another_server_is_consumed_by_both_modes() {
    let Some(script) = std::env::var_os("CARTGUARD_KINESIS_LOCAL") else {
        println!("skipped: CARTGUARD_KINESIS_LOCAL names no kinesis-local (CONTRIBUTING.md)");
        return;
    };
    for mode in MODES {
        let (url, _server) = kinesis_local(script.as_ref());
        let rig = Rig::elsewhere(url, 2);
        let mut settings = Rig::settings(mode, Begin::Oldest);
        settings.limits.calls_per_second = 20.0;
        let mut source = rig.open_as(settings.clone());
        let mut log = Log::default();
        let mut put = rig.put_many(0..100);
        read(&mut source, &mut log, 60);
        put.extend(rig.put_many(100..200));
        read(&mut source, &mut log, 200);
        if mode == Mode::Polling {
            // A child of a merge has the first number of one of its parents there, so it would have to be older than the other.
            rig.split(0);
            put.extend(rig.put_many(200..260));
            read(&mut source, &mut log, 260);
        }
        Rig::check(&log, &put);
        // From a place on. The first still holds its subscriptions, and this server says so: the second polls.
        let mut again = rig.open_as(settings);
        again.resume(&log.partitions).expect("all is there");
        let mut rest = Log::resumed(log.partitions);
        let put = rig.put_many(400..440);
        read(&mut again, &mut rest, 40);
        Rig::check(&rest, &put);
    }
}

/// Its url once it answers, and the process. It takes no port 0, so the ports are ones that were free a moment ago: another process may be faster
/// and the test then fails at once; run again.
fn kinesis_local(script: &Path) -> (String, Killed) {
    let free = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address").port()
    };
    let (plain, tls) = (free(), free());
    let mut command = Command::new("node");
    command.arg(script).env("KINESIS_MOCK_CERT_PATH", script.with_file_name("server.json"));
    command.env("KINESIS_MOCK_PLAIN_PORT", plain.to_string()).env("KINESIS_MOCK_TLS_PORT", tls.to_string());
    for slow in ["CREATE_STREAM", "REGISTER_STREAM_CONSUMER", "SPLIT_SHARD", "MERGE_SHARDS"] {
        command.env(format!("{slow}_DURATION"), "1ms");
    }
    command.stdout(Stdio::null());
    let mut server = Killed(command.spawn().expect("node is there"));
    while TcpStream::connect(("127.0.0.1", plain)).is_err() {
        assert!(server.0.try_wait().expect("a child").is_none(), "it ended before it listened");
        std::thread::yield_now();
    }
    (format!("http://127.0.0.1:{plain}"), server)
}
