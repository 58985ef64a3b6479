//! A folder in which the real binary runs, for tests of processes, and what they feed it.

#![allow(dead_code, reason = "no test needs all of it")]

use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// The amount, and what a customer usually does.
pub(crate) const CUSTOMER_FEATURES: &str = r#"
[[feature]]
name = "amount"
value = "amount"
meaning = "Amount of the order"
reason = "the amount is {amount}"

[[feature]]
entity = "customer"
windows = ["1d", "7d"]
aggregates = ["count", "mean"]
"#;

/// A folder in which cartguard runs, so that paths are relative, as people give them.
pub(crate) struct Shop {
    folder: TempDir,
}

impl Shop {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    /// With `in.jsonl`: 1,000 checkouts.
    pub(crate) fn with_checkouts() -> Self {
        let shop = Self::new();
        shop.write("in.jsonl", checkouts(0, 1_000));
        shop
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("written");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("a file that was written")
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).expect("JSON")
    }

    pub(crate) fn json_lines(&self, name: &str) -> Vec<Value> {
        self.read(name).lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    pub(crate) fn make_folder(&self, name: &str) {
        fs::create_dir(self.path(name)).expect("a new folder");
    }

    pub(crate) fn make_pipe(&self, name: &str) {
        let made = Command::new("mkfifo").arg(self.path(name)).status();
        assert!(made.expect("mkfifo runs").success());
    }

    /// Names in a folder, in order.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        let names = fs::read_dir(self.path(folder)).expect("a folder");
        let mut names: Vec<_> =
            names.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cartguard"));
        command.args(arguments).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().expect("cartguard runs")
    }

    /// Runs what must end with this code; what it said and what it complained of.
    #[track_caller]
    pub(crate) fn ends(&self, code: i32, arguments: &[&str]) -> (String, String) {
        said(self.command(arguments).output().expect("cartguard runs"), code, arguments)
    }

    /// Runs what must succeed; what it said.
    #[track_caller]
    pub(crate) fn good(&self, arguments: &[&str]) -> String {
        self.ends(0, arguments).0
    }

    /// Runs what must fail with this code; what it complained of.
    #[track_caller]
    pub(crate) fn bad(&self, code: i32, arguments: &[&str]) -> String {
        self.ends(code, arguments).1
    }
}

/// What a process said and complained of, which must have ended with this code and without a panic.
#[track_caller]
pub(crate) fn said(output: Output, code: i32, arguments: &[&str]) -> (String, String) {
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let complained = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {complained}");
    assert!(!complained.contains("panicked"), "{complained}");
    (said, complained)
}

#[track_caller]
pub(crate) fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is absent from {text}");
    }
}

pub(crate) fn signal(name: &str, child: &Child) {
    let killed = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(killed.expect("kill runs").success());
}

/// Looks again and again; the test's own limit ends it where it never comes.
pub(crate) fn wait_for(mut there: impl FnMut() -> bool) {
    while !there() {
        std::thread::yield_now();
    }
}

/// The n-th of many checkouts of few customers, a third of a second apart.
pub(crate) fn checkout(n: u64) -> String {
    let (ms, customer) = (n * 333, n * n % 97);
    let (s, ms) = (ms / 1000, ms % 1000);
    let time = format!("2026-03-01T{:02}:{:02}:{:02}.{ms:03}Z", s / 3600, s / 60 % 60, s % 60);
    format!(
        "{{\"event_id\":\"e-{n}\",\"event_time\":\"{time}\",\"amount\":\"{}.{:02}\",\"customer_id\":\"c{customer}\",\
         \"card_id\":\"k{}\",\"ip\":\"10.0.0.{}\"}}\n",
        n * 7919 % 500,
        n % 100,
        n % 131,
        n % 61,
    )
}

pub(crate) fn checkouts(from: u64, to: u64) -> String {
    (from..to).map(checkout).collect()
}

/// As in gzip and in the order log.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// Gzip without compression: one stored block a member, RFC 1952.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = bytes.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).expect("a block's length has 16 bits");
        file.push(u8::from(blocks.peek().is_none()));
        file.extend(length.to_le_bytes());
        file.extend((!length).to_le_bytes());
        file.extend(block);
    }
    file.extend(crc32(bytes).to_le_bytes());
    file.extend(u32::try_from(bytes.len()).expect("a small file").to_le_bytes());
    file
}

/// Zstandard without compression: raw blocks in one frame, RFC 8878.
pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    file.extend(u32::try_from(bytes.len()).expect("a small file").to_le_bytes());
    let mut blocks = bytes.chunks(0x1_0000).peekable();
    while let Some(block) = blocks.next() {
        let header = u32::try_from(block.len() << 3).expect("small") | u32::from(blocks.peek().is_none());
        file.extend(&header.to_le_bytes()[..3]);
        file.extend(block);
    }
    file
}

pub(crate) fn status(shop: &Shop) -> Option<Value> {
    let output = shop.command(&["status", "--config", "c.toml", "--json"]).output().expect("cartguard runs");
    output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// Asks until the answer is so.
pub(crate) fn status_until(shop: &Shop, is_so: impl Fn(&Value) -> bool) -> Value {
    let mut found = None;
    wait_for(|| {
        found = status(shop).filter(|report| is_so(report));
        found.is_some()
    });
    found.expect("just found")
}
