//! A data folder without room, as a real process meets it: on a small disk of its own, in a mount namespace that needs no rights where the
//! system allows such; where it does not, the test says so and ends.
//!
//! Holds: a test waits for a line, a record or an exit, never for a time.

mod shop;

use serde_json::Value;
use shop::{Shop, checkouts, holds, signal, wait_for};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

const CONFIG: &str = "[source]\ntype = \"file\"\npaths = [\"in.jsonl\"]\n[sink]\ntype = \"file\"\npath = \"out\"\n[history]\n\
                      folder = \"data\"\n[admin]\nsocket = \"admin.sock\"\n[log]\nevery = \"0s\"\n";

/// A disk of 8 MiB at `data`, for as long as its holder lives.
struct SmallDisk<'a> {
    shop: &'a Shop,
    holder: Child,
}

impl<'a> SmallDisk<'a> {
    /// None where the system allows none.
    fn at_data(shop: &'a Shop, mode: &str) -> Option<Self> {
        shop.make_folder("data");
        let script = format!("mount -t tmpfs -o size=8m,{mode} none data && echo mounted && exec sleep 600");
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", &script]).current_dir(shop.path("."));
        let mut holder = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut line).ok()?;
        if line.trim() != "mounted" {
            let _ = holder.wait();
            return None;
        }
        Some(Self { shop, holder })
    }

    fn filler(&self) -> PathBuf {
        let inside = self.shop.path("data/filler");
        let inside = inside.strip_prefix("/").expect("an absolute path").to_path_buf();
        PathBuf::from(format!("/proc/{}/root", self.holder.id())).join(inside)
    }

    /// Leaves no room.
    fn fill(&self) {
        let mut file = File::create(self.filler()).expect("the disk of the holder");
        while file.write_all(&[1; 512]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.filler()).expect("it was filled");
    }

    /// A command of the shell where it is mounted; `$1` is the binary.
    fn inside(&self, script: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder.id().to_string(), "-U", "-m", "--preserve-credentials"]);
        let script = format!("cd \"$0\" && {script}");
        command.args(["sh", "-c", &script]).arg(self.shop.path(".")).arg(env!("CARGO_BIN_EXE_cartguard"));
        command
    }

    /// A run on it.
    fn run(&self) -> Run {
        let mut command = self.inside("exec \"$1\" run --config c.toml");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("nsenter runs");
        let told = Arc::<Mutex<Vec<String>>>::default();
        let (lines, all) = (BufReader::new(child.stderr.take().expect("piped")).lines(), Arc::clone(&told));
        let reader = std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| all.lock().expect("no panic").push(line));
        });
        let pipe = File::options().write(true).open(self.shop.path("in.jsonl")).expect("a reader");
        Run { child, told, reader, pipe }
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A process, what it complains of, and the pipe that it reads.
struct Run {
    child: Child,
    told: Arc<Mutex<Vec<String>>>,
    reader: std::thread::JoinHandle<()>,
    pipe: File,
}

impl Run {
    fn has_told(&self, part: &str) -> bool {
        self.told.lock().expect("no panic").iter().any(|line| line.contains(part))
    }

    /// Ends it; its code and all that it said.
    fn ends(mut self) -> (Option<i32>, String) {
        signal("-TERM", &self.child);
        let code = self.child.wait().expect("it ends").code();
        self.reader.join().expect("it reads to the end");
        let told = self.told.lock().expect("no panic").join("\n");
        (code, told)
    }
}

const NO_ROOM: &str = "nothing is released until there is room";

#[test]
fn an_order_log_without_room_releases_nothing_and_goes_on_when_there_is() {
    let shop = Shop::new();
    let Some(disk) = SmallDisk::at_data(&shop, "rw") else {
        println!("skipped: this system gives no mount namespace");
        return;
    };
    shop.write("c.toml", CONFIG);
    shop.make_pipe("in.jsonl");
    let decided =
        || fs::read_to_string(shop.path("out/decisions.jsonl")).unwrap_or_default().lines().count() as u64;
    let mut run = disk.run();
    run.pipe.write_all(checkouts(0, 300).as_bytes()).expect("a reader");
    wait_for(|| decided() == 300);
    disk.fill();
    // One by one, since what was begun of a page has room.
    let mut put = 300;
    while !run.has_told(NO_ROOM) {
        run.pipe.write_all(checkouts(put, put + 1).as_bytes()).expect("a reader");
        put += 1;
        wait_for(|| decided() == put || run.has_told(NO_ROOM));
    }
    assert_eq!(decided(), put - 1, "what is not bound is not released");
    let report = shop.good(&["status", "--config", "c.toml", "--json"]);
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let codes: Vec<_> =
        report["degraded"].as_array().expect("a list").iter().map(|one| &one["code"]).collect();
    assert!(codes.contains(&&"disk_full".into()), "{report:#}");
    let (code, told) = run.ends();
    assert_eq!(code, Some(1), "{told}");
    holds(&told, &["data/order/", "No space left"]);
    assert_eq!(decided(), put - 1);

    // Started while there is none still, and then there is some.
    let mut run = disk.run();
    run.pipe.write_all(checkouts(0, put).as_bytes()).expect("a reader");
    wait_for(|| run.has_told(NO_ROOM));
    assert_eq!(decided(), put - 1);
    disk.empty();
    wait_for(|| decided() == put);
    let (code, told) = run.ends();
    assert_eq!(code, Some(0), "{told}");
    shop.write("all.jsonl", checkouts(0, put));
    let config = CONFIG.replace("in.jsonl", "all.jsonl").replace("folder = \"data\"", "folder = \"other\"");
    shop.write("w.toml", config.replace("path = \"out\"", "path = \"whole\""));
    shop.good(&["run", "--config", "w.toml"]);
    let ids = |name: &str| -> Vec<Value> {
        shop.json_lines(name).into_iter().map(|line| line["event_id"].clone()).collect()
    };
    assert_eq!(ids("out/decisions.jsonl"), ids("whole/decisions.jsonl"));
}

/// O4
#[test]
fn a_data_folder_that_cannot_be_written_is_named_and_nothing_is_lost() {
    let shop = Shop::new();
    let Some(disk) = SmallDisk::at_data(&shop, "ro") else {
        println!("skipped: this system gives no mount namespace");
        return;
    };
    shop.write("c.toml", CONFIG);
    shop.write("in.jsonl", checkouts(0, 100));
    let run = "exec \"$1\" run --config c.toml";
    let refused = disk.inside(run).output().expect("nsenter runs");
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    holds(&told, &["data/lock: ", "Read-only file system"]);
    let status = disk.inside(&format!("mount -o remount,rw data && {run}")).status();
    assert!(status.expect("nsenter runs").success());
    assert_eq!(shop.read("out/decisions.jsonl").lines().count(), 100);
}
