//! The real binary between streams of a local Kinesis, for tests that end it in some way.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use aws_sdk_kinesis::Client;
use cartguard_kinesis_tests::local::read_all;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A binary under test: where cargo puts it, a folder above the tests.
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test is a file");
    let path = test.ancestors().nth(2).expect("target/release/deps/test").join(name);
    assert!(path.exists(), "{} is absent: build it with the feature aws", path.display());
    path
}

pub(crate) fn config(url: &str, mode: &str) -> String {
    let workload = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/workload");
    let text = fs::read_to_string(workload.join("config.toml")).expect("the workload's configuration");
    let text = ["features.toml", "model/workload/1"].iter().fold(text, |text, name| {
        text.replace(&format!("\"{name}\""), &format!("\"{}\"", workload.join(name).display()))
    });
    text.replace("top = 0 ", "top = 2 ")
        + &format!(
            "\n[source]\ntype = \"kinesis\"\nstream = \"in\"\nregion = \"us-east-1\"\nendpoint_url = \"{url}\"\nmode = \"{mode}\"\n\
             start = \"TRIM_HORIZON\"\n[sink]\ntype = \"kinesis\"\ndecisions = \"decisions\"\nalerts = \"alerts\"\nrejects = \"rejects\"\n\
             region = \"us-east-1\"\nendpoint_url = \"{url}\"\n[history]\nfolder = \"data\"\n[snapshot]\nevery = \"150ms\"\n\
             every_records = 700\n"
        )
}

pub(crate) fn cartguard(folder: &Path, arguments: &[&str]) -> Command {
    program("cartguard", folder, arguments)
}

pub(crate) fn program(name: &str, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary(name));
    command.current_dir(folder).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    command.envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);
    command
}

/// All lines of a stream, however often.
pub(crate) async fn lines(client: &Client, stream: &str) -> Vec<String> {
    let records = read_all(client, stream).await;
    let text = |record: &aws_sdk_kinesis::types::Record| {
        String::from_utf8(record.data().as_ref().to_vec()).expect("text").trim_end().to_owned()
    };
    records.iter().map(text).collect()
}

/// A process that does not outlive a test that fails.
pub(crate) struct Killed(pub(crate) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
