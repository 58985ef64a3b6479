//! The README's commands, run as they stand there, with the output that stands there.
//!
//! A block of ```` ```console ```` after a line `<!-- run -->` is run in order in one folder; a ```` ```toml ```` or other
//! block after `<!-- file: NAME -->` is written there first. Each line of output in the README must be in the real output:
//! numbers and runs of spaces may differ, and a line that ends in ` …` need only begin so.
//!
//! Not here: the two commands of the first screen: `cli` runs the demo, and this test is part of the other.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What the README asks for, in order.
#[derive(Debug, PartialEq)]
enum Step {
    File { name: String, text: String },
    Run { command: String, output: Vec<String> },
}

fn steps(readme: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = readme.lines().peekable();
    while let Some(line) = lines.next() {
        let file = line.strip_prefix("<!-- file: ").and_then(|rest| rest.strip_suffix(" -->"));
        if file.is_none() && line != "<!-- run -->" {
            continue;
        }
        let fence = lines.next().unwrap_or_default();
        assert!(fence.starts_with("```"), "after {line}: {fence} is no block");
        let block: Vec<_> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
        if let Some(name) = file {
            steps.push(Step::File { name: name.to_owned(), text: block.join("\n") + "\n" });
            continue;
        }
        for line in block {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step::Run { command: command.to_owned(), output: Vec::new() });
            } else if let Some(Step::Run { output, .. }) = steps.last_mut() {
                output.push(line.to_owned());
            }
        }
    }
    steps
}

/// A line without what differs between runs: `12,345.6` is `#`, spaces are one.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_ascii_digit() {
            while rest.next_if(|c| c.is_ascii_digit() || ".,".contains(*c)).is_some() {}
            shape.push('#');
        } else if c.is_whitespace() {
            while rest.next_if(|c| c.is_whitespace()).is_some() {}
            shape.push(' ');
        } else {
            shape.push(c);
        }
    }
    shape.trim().to_owned()
}

fn stands_in(expected: &str, lines: &[String]) -> bool {
    match shape(expected).strip_suffix(" …") {
        Some(begin) => lines.iter().any(|line| line.starts_with(begin.trim_end_matches('#'))),
        None => lines.contains(&shape(expected)),
    }
}

#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let binaries = Path::new(env!("CARGO_BIN_EXE_cartguard")).parent().expect("a folder");
    if !binaries.join("loadgen").is_file() {
        println!("skipped: loadgen is not built; cargo build --release --workspace");
        return;
    }
    let path = format!("{}:{}", binaries.display(), env::var("PATH").unwrap_or_default());
    let steps = steps(&fs::read_to_string(root.join("README.md")).expect("README.md"));
    let runs = steps.iter().filter(|step| matches!(step, Step::Run { .. })).count();
    assert!(runs >= 8, "the README has {runs} commands that are run");

    let folder = tempfile::tempdir().expect("a folder");
    for step in steps {
        let (command, expected) = match step {
            Step::File { name, text } => {
                fs::write(folder.path().join(name), text).expect("written");
                continue;
            }
            Step::Run { command, output } => (command, output),
        };
        let ended = Command::new("sh")
            .args(["-c", &format!("{{ {command}; }} 2>&1")])
            .current_dir(folder.path())
            .env("PATH", &path)
            .output()
            .expect("a shell");
        let real = String::from_utf8_lossy(&ended.stdout).into_owned();
        let is_refusal = expected.iter().any(|line| line.starts_with("cartguard: "));
        assert_eq!(ended.status.success(), !is_refusal, "$ {command}\n{real}");
        let lines: Vec<_> = real.lines().map(shape).collect();
        for line in expected.iter().filter(|line| !line.is_empty() && *line != "…") {
            assert!(stands_in(line, &lines), "$ {command}\nthe README has:\n{line}\nbut it says:\n{real}");
        }
    }
}

/// A test that takes anything is none.
#[test]
fn shapes_tell_lines_apart() {
    assert_eq!(shape("accepted 1,981,  late 0.5"), "accepted # late #");
    let lines = [shape("20000 events in 1.34 s")];
    assert!(stands_in("7 events in 2 s", &lines) && stands_in("20 events …", &lines));
    assert!(!stands_in("7 alerts in 2 s", &lines) && !stands_in("7 alerts …", &lines));
    let text = "<!-- file: a.toml -->\n```toml\n[a]\n```\n\n<!-- run -->\n```console\n$ one\nx\n$ two\n```\n```console\n$ no\n```\n";
    let file = Step::File { name: "a.toml".into(), text: "[a]\n".into() };
    let one = Step::Run { command: "one".into(), output: vec!["x".into()] };
    let two = Step::Run { command: "two".into(), output: vec![] };
    assert_eq!(steps(text), [file, one, two]);
}
