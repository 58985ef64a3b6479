//! The crash rig: the real binary, killed again and again at random moments and at named places, and what it has written in the end held
//! against a run that nobody disturbed, byte by byte.
//!
//! `CARTGUARD_KILLS` sets how many kills each test survives (default 100), `CARTGUARD_CRASH_SEED` the seed. `tools/crash.sh` runs it long.

use cartguard_recovery::kill_point::PLACES;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const FILES: [&str; 3] = ["decisions.jsonl", "alerts.jsonl", "rejects.jsonl"];
const SIGKILL: i32 = 9;

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).map_or(or, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Where a shop's events lie, what becomes of them, and how often it was disturbed.
struct Rig {
    folder: tempfile::TempDir,
    random: ChaCha8Rng,
    expected: [Vec<u8>; 3],
    kills: u64,
    starts: u64,
}

impl Rig {
    fn new(sink: &str, seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let events = folder.path().join("events.jsonl");
        let settings = loadgen::Settings {
            seed,
            events: Some(12_000),
            ..loadgen::Settings::new(loadgen::World::Workload)
        };
        let mut generator = loadgen::Generator::new(&settings).expect("settings of its own");
        let mut text = Vec::new();
        let mut line = Vec::new();
        while generator.next_event(&mut line).is_some() {
            text.extend_from_slice(&line);
            text.push(b'\n');
            line.clear();
            if text.len() % 97 == 0 {
                text.extend_from_slice(b"{\"event_id\": no record}\n");
            }
        }
        fs::write(&events, text).expect("room for events");
        let workload = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/workload");
        let mut config =
            fs::read_to_string(workload.join("config.toml")).expect("the workload's configuration");
        for name in ["features.toml", "model/workload/1"] {
            config =
                config.replace(&format!("\"{name}\""), &format!("\"{}\"", workload.join(name).display()));
        }
        // Two runs of alerts and reasons too; small batches, so that there are many places to die at.
        config = config.replace("top = 0 ", "top = 3 ");
        config += &format!(
            "\n[engine]\nbatch_max = 50\nworkers = 2\n[source]\ntype = \"file\"\npaths = [\"events.jsonl\"]\n[sink]\n{sink}\n\
             [history]\nfolder = \"data\"\n[snapshot]\nevery = \"40ms\"\nevery_records = 900\n"
        );
        fs::write(folder.path().join("c.toml"), config).expect("room for a configuration");
        let done = Command::new(env!("CARGO_BIN_EXE_cartguard"))
            .current_dir(folder.path())
            .args(["replay", "--config", "c.toml", "--input", "events.jsonl", "--output", "undisturbed"])
            .output()
            .expect("the binary starts");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let expected = FILES
            .map(|name| fs::read(folder.path().join("undisturbed").join(name)).expect("a replay writes it"));
        assert!(expected.iter().all(|lines| !lines.is_empty()), "decisions, alerts and rejects");
        Self { folder, random: ChaCha8Rng::seed_from_u64(seed), expected, kills: 0, starts: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.next_u64() % bound
    }

    /// Starts it and kills it, by a place or by a moment; whether it came to its end instead. What it says on standard output
    /// goes to a file.
    fn run(&mut self) -> bool {
        self.starts += 1;
        let stdout = fs::File::create(self.path("stdout")).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_cartguard"));
        command.current_dir(self.folder.path()).args(["run", "--config", "c.toml"]);
        command.stdout(stdout).stderr(Stdio::piped());
        let by_place = self.below(2) == 0;
        if by_place {
            let place = PLACES[self.below(PLACES.len() as u64) as usize];
            let most = if ["repeated", "processed", "bound", "released"].contains(&place) { 60 } else { 3 };
            command.env("CARTGUARD_KILL_POINT", format!("{place}:{}", 1 + self.below(most)));
        }
        let mut child = command.spawn().expect("the binary starts");
        if !by_place {
            sleep(Duration::from_micros(self.below(90_000)));
            // It may have ended.
            let _ = child.kill();
        }
        let output = child.wait_with_output().expect("it ends");
        match (output.status.signal(), output.status.code()) {
            (Some(SIGKILL), _) => {
                self.kills += 1;
                false
            }
            (None, Some(0)) => true,
            _ => panic!(
                "start {} ended with {:?} after {} kills:\n{}",
                self.starts,
                output.status,
                self.kills,
                String::from_utf8_lossy(&output.stderr)
            ),
        }
    }

    /// Begins anew, with another order of things.
    fn clear(&self) {
        for name in ["data", "out"] {
            let _ = fs::remove_dir_all(self.path(name));
        }
    }

    /// Kills until there were enough; `check` looks at what is there after each, and at the end of each history.
    fn disturb(&mut self, mut check: impl FnMut(&Self, bool)) {
        let kills = number("CARTGUARD_KILLS", 100);
        let started = Instant::now();
        let mut histories = 0;
        while self.kills < kills || histories == 0 {
            let is_over = self.run();
            check(self, is_over);
            if is_over {
                histories += 1;
                self.clear();
            }
        }
        println!(
            "survived {} kills in {} starts of {histories} histories, {} s; conflicts 0, lost 0",
            self.kills,
            self.starts,
            started.elapsed().as_secs()
        );
    }
}

/// A place that nothing comes past any more would make the other tests kill less and say nothing.
#[test]
fn every_named_place_is_one_to_die_at() {
    for place in PLACES {
        let rig = Rig::new("type = \"null\"", 3);
        let run = |point: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_cartguard"));
            command.current_dir(rig.folder.path()).args(["run", "--config", "c.toml"]);
            command.env("CARTGUARD_KILL_POINT", point).stdout(Stdio::null()).stderr(Stdio::piped());
            command.output().expect("the binary starts")
        };
        if place == "repeated" {
            assert_eq!(run("bound:5").status.signal(), Some(SIGKILL));
        }
        assert_eq!(run(&format!("{place}:1")).status.signal(), Some(SIGKILL), "{place}");
    }
    let rig = Rig::new("type = \"null\"", 3);
    let mut command = Command::new(env!("CARGO_BIN_EXE_cartguard"));
    command.current_dir(rig.folder.path()).args(["run", "--config", "c.toml"]);
    let output = command.env("CARTGUARD_KILL_POINT", "nowhere:1").output().expect("the binary starts");
    assert!(!output.status.success() && output.status.signal() != Some(SIGKILL), "no such place");
}

#[test]
fn files_hold_every_output_once_after_any_number_of_kills() {
    let mut rig = Rig::new("type = \"file\"\npath = \"out\"", number("CARTGUARD_CRASH_SEED", 1));
    rig.disturb(|rig, is_over| {
        for (name, expected) in FILES.iter().zip(&rig.expected) {
            let held = fs::read(rig.path("out").join(name)).unwrap_or_default();
            let place = || rig.folder.path().join("out").join(name);
            assert!(expected.starts_with(&held), "{}: other bytes than undisturbed", place().display());
            assert!(!is_over || held.len() == expected.len(), "{}: some are lost", place().display());
        }
    });
}

fn read_text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).expect("a file")).into_owned()
}

/// O3: budgets come first; where the system has no memory all the same the process ends wherever that is, and the next start goes on.
#[test]
fn a_process_that_finds_no_memory_ends_and_the_next_goes_on() {
    let rig = Rig::new("type = \"file\"\npath = \"out\"", number("CARTGUARD_CRASH_SEED", 5));
    let run = |limit_kib: u64| {
        let script = format!("ulimit -v {limit_kib} && exec \"$0\" run --config c.toml");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_cartguard")]).current_dir(rig.folder.path());
        let told = fs::File::create(rig.path("stderr")).expect("a file");
        let mut child = command.stdout(Stdio::null()).stderr(told).spawn().expect("sh runs");
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child") {
                break status;
            }
            if started.elapsed() > Duration::from_secs(60) {
                child.kill().expect("it runs");
                child.wait().expect("it ends");
                panic!("{limit_kib} KiB: it neither ends nor goes on: {}", read_text(&rig.path("stderr")));
            }
            sleep(Duration::from_millis(2));
        };
        (status, read_text(&rig.path("stderr")))
    };
    let held = || FILES.map(|name| fs::read(rig.path("out").join(name)).unwrap_or_default());
    if !Command::new("sh").args(["-c", "ulimit -v 1000000"]).status().expect("sh runs").success() {
        println!("skipped: there is no limit of address space here");
        return;
    }
    // Each a little more, so that it ends in many places: before it begins, in the middle of a history, in the middle of a recovery. That is
    // a narrow window where the machine has few cores, so the steps within it are small.
    let (mut limit_kib, mut ended, mut within) = (50_000, 0, 0);
    loop {
        let (status, told) = run(limit_kib);
        for (held, expected) in held().iter().zip(&rig.expected) {
            assert!(expected.starts_with(held), "{limit_kib} KiB: other bytes than undisturbed");
        }
        if status.success() {
            break;
        }
        assert!(told.lines().count() > 0, "{limit_kib} KiB: {status:?}, and nobody hears of it");
        ended += 1;
        within += u32::from(rig.path("data/order").exists());
        limit_kib += limit_kib / if within > 0 { 32 } else { 6 };
        assert!(limit_kib < 64 << 20, "{status:?}: {told}");
    }
    println!("{ended} ended without memory, {within} of them with a history begun");
    assert!(ended > 3, "{ended} ended without memory");
    assert!(held() == rig.expected, "some are lost");
    if within < 2 {
        println!("skipped: on this machine what can begin a history has the memory to end it");
    }
}

#[test]
fn a_sink_that_gets_copies_gets_equal_ones_and_all() {
    let mut rig = Rig::new("type = \"stdout\"", number("CARTGUARD_CRASH_SEED", 2));
    let expected: HashMap<u64, Vec<u8>> = rig.expected[0]
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| (sequence_of(line).expect("a decision"), line.to_vec()))
        .collect();
    let mut seen = HashSet::new();
    rig.disturb(|rig, is_over| {
        let text = fs::read(rig.path("stdout")).expect("it was written to");
        let mut lines = text.split(|&byte| byte == b'\n');
        // What stands behind the last line end is nothing, or torn.
        let torn = lines.next_back().unwrap_or_default();
        for line in lines {
            let sequence = sequence_of(line).expect("a whole line is a decision");
            assert!(expected[&sequence] == line, "other bytes: {}", String::from_utf8_lossy(line));
            seen.insert(sequence);
        }
        assert!(!is_over || torn.is_empty(), "nothing is torn at the end");
        if is_over {
            assert_eq!(seen.len(), expected.len(), "every decision came");
            seen.clear();
        }
    });
}

fn sequence_of(line: &[u8]) -> Option<u64> {
    let line: serde_json::Value = serde_json::from_slice(line).ok()?;
    line["sequence"].as_u64()
}
