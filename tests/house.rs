//! The rules of the house, as data: who may know whom, how files are named and how long they are.
//!
//! A rule that only a page holds is forgotten by the third change; here a fault names the offending line.
//! ARCHITECTURE.md says why; where a rule is to change, change it here and there.

#[path = "house/floors.rs"]
mod floors;

use floors::{CRATES, ENGINE, NOT_PURE, PURE, SERVICE};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files of more than 500 lines, tests apart, and why they are not split.
const LONG: &[(&str, &str)] = &[];
const LINES_MAX: usize = 500;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "manager", "types", "misc"];

/// What the engine must not know: clocks, files, sockets, the environment, who runs it, chance.
const WORLD: &[&str] = &[
    "std::time::",
    "Instant::now",
    "SystemTime",
    "std::fs",
    "std::net",
    "std::env",
    "std::io::std",
    "process::Command",
    "process::id",
    "thread::current",
    "ThreadId",
    "thread::sleep",
    "RandomState",
    "println!",
];
/// In the engine alone: the forest's own exponential fuses on purpose, as its trainer does, and a table of a model
/// file's keys has no order that could get out.
const CHANCE: &[&str] = &["std::collections::HashMap", "std::collections::HashSet", "mul_add("];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// Every Rust file below a folder, named from the root, in order.
fn rust_files(folder: &str) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display())) {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path.strip_prefix(root()).expect("below the root").display().to_string());
            }
        }
    }
    files.sort();
    files
}

/// The folders with source code of ours.
fn sources() -> Vec<String> {
    let mut folders = vec!["src".to_owned(), "loadgen/src".to_owned()];
    for entry in fs::read_dir(root().join("crates")).expect("crates") {
        folders.push(format!("crates/{}/src", entry.expect("an entry").file_name().to_string_lossy()));
    }
    folders.iter().flat_map(|folder| rust_files(folder)).collect()
}

fn is_test(file: &str) -> bool {
    let parts: Vec<_> = file.split('/').collect();
    parts[..parts.len() - 1].contains(&"tests")
        || ["tests.rs", "testing.rs", "fuzz.rs"].contains(parts.last().expect("a name"))
}

/// The lines outside what is compiled for tests only, each with its number from 1.
fn without_tests(text: &str) -> Vec<(usize, &str)> {
    let mut kept = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        if !line.starts_with("#[cfg(test)]") && !line.starts_with("#[cfg(all(test") {
            kept.push((number, line));
            continue;
        }
        // Its other attributes, then the item: a line, or a block that ends where its first line began.
        let mut item = lines.find(|(_, line)| !line.starts_with("#[")).map_or("", |(_, line)| line);
        if !item.ends_with([';', '}']) {
            while !item.starts_with('}') {
                let Some((_, line)) = lines.next() else { break };
                item = line;
            }
        }
    }
    kept
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// First names after `crate::`, with their line, in a text without its tests.
fn neighbours(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in without_tests(text) {
        if is_comment(line) {
            continue;
        }
        for (at, _) in line.match_indices("crate::") {
            if line[..at].ends_with(|before: char| before.is_alphanumeric() || "$_".contains(before)) {
                continue;
            }
            let rest = &line[at + "crate::".len()..];
            let names = match rest.strip_prefix('{') {
                Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
                None => vec![rest],
            };
            for name in names {
                let name = name.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next();
                // Only modules: a type or a constant of the crate's root begins with a capital.
                let name = name.unwrap_or_default();
                if name.starts_with(|first: char| first.is_ascii_lowercase()) {
                    found.push((number, name.to_owned()));
                }
            }
        }
    }
    found
}

/// Holds a crate's modules to their table.
#[track_caller]
fn hold_floors(folder: &str, floors: &[(&str, &[&str])]) {
    let floors: BTreeMap<_, _> = floors.iter().copied().collect();
    let mut faults = Vec::new();
    for file in rust_files(folder).iter().filter(|file| !is_test(file)) {
        let inside = &file[folder.len() + 1..];
        let module = inside.split(['/', '.']).next().expect("a name");
        if module == "lib" {
            continue;
        }
        let Some(allowed) = floors.get(module) else {
            faults.push(format!(
                "{file}: the module {module} has no floor: give it one in tests/house/floors.rs"
            ));
            continue;
        };
        for (line, other) in neighbours(&text(&root().join(file))) {
            if other != module && !allowed.contains(&other.as_str()) {
                faults.push(format!("{file}:{line}: {module} must not use {other}"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Every package of the workspace: name -> manifest.
fn manifests() -> BTreeMap<String, toml::Table> {
    let mut files = vec![root().join("Cargo.toml"), root().join("loadgen/Cargo.toml")];
    for entry in fs::read_dir(root().join("crates")).expect("crates") {
        files.push(entry.expect("an entry").path().join("Cargo.toml"));
    }
    files
        .into_iter()
        .map(|file| {
            let manifest: toml::Table = text(&file).parse().expect("TOML");
            (manifest["package"]["name"].as_str().expect("a name").to_owned(), manifest)
        })
        .collect()
}

fn dependencies(manifest: &toml::Table, section: &str) -> BTreeSet<String> {
    manifest
        .get(section)
        .and_then(toml::Value::as_table)
        .map(|t| t.keys().cloned().collect())
        .unwrap_or_default()
}

#[test]
fn crates_depend_downwards_only() {
    let manifests = manifests();
    let ours: BTreeSet<_> = manifests.keys().cloned().collect();
    let table: BTreeMap<_, _> = CRATES.iter().map(|&(name, uses, tests)| (name, (uses, tests))).collect();
    let mut faults = Vec::new();
    for (name, manifest) in &manifests {
        let Some((uses, tests)) = table.get(name.as_str()) else {
            faults.push(format!("{name} has no floor: give it one in tests/house/floors.rs"));
            continue;
        };
        for (section, allowed) in
            [("dependencies", uses), ("build-dependencies", uses), ("dev-dependencies", tests)]
        {
            for other in dependencies(manifest, section).intersection(&ours) {
                if !allowed.contains(&other.as_str()) {
                    faults.push(format!("{name}: [{section}] must not have {other}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn pure_crates_stay_light() {
    let manifests = manifests();
    for name in PURE {
        let uses = dependencies(&manifests[*name], "dependencies");
        for other in NOT_PURE {
            assert!(!uses.contains(*other), "{name} must not depend on {other}: it never reads the world");
        }
    }
}

#[test]
fn versions_stand_once() {
    for (name, manifest) in manifests() {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for other in dependencies(&manifest, section) {
                let is_shared = manifest[section][&other].get("workspace").is_some();
                assert!(is_shared, "{name}: {other}: versions stand in [workspace.dependencies]");
            }
        }
        let is_linted = manifest.get("lints").is_some_and(|lints| lints.get("workspace").is_some());
        assert!(is_linted, "{name}: [lints] workspace = true is absent");
    }
}

#[test]
fn modules_of_the_engine_know_what_lies_below() {
    hold_floors("crates/engine/src", ENGINE);
}

#[test]
fn modules_of_the_service_know_what_lies_below() {
    hold_floors("src", SERVICE);
}

#[test]
fn the_engine_knows_nothing_of_the_world() {
    let mut faults = Vec::new();
    for (folder, more) in [("crates/engine/src", CHANCE), ("crates/forest/src", &[])] {
        for file in rust_files(folder).iter().filter(|file| !is_test(file)) {
            let text = text(&root().join(file));
            for (number, line) in without_tests(&text).into_iter().filter(|(_, line)| !is_comment(line)) {
                for word in WORLD.iter().chain(more).filter(|word| line.contains(**word)) {
                    faults.push(format!("{file}:{}: {word} has no place in the engine", number));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn modules_say_what_they_are() {
    let mut faults = Vec::new();
    let more = ["tests", "crates/engine/benches", "crates/oracle/tests"].into_iter().flat_map(rust_files);
    for file in sources().into_iter().chain(more) {
        if !text(&root().join(&file)).trim_start().starts_with("//!") {
            faults.push(format!("{file}: begins without //!"));
        }
        let names = Path::new(&file).with_extension("");
        for name in names.iter().filter_map(|part| part.to_str()) {
            if EMPTY_NAMES.contains(&name) {
                faults.push(format!("{file}: {name} says nothing about what is inside"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// What stands behind a test module is held to the rules too.
#[test]
fn only_tests_are_left_out() {
    let text = "one\n#[cfg(test)]\nmod tests;\nfour\n#[cfg(test)]\n#[expect(x)]\nmod tests {\n    a\n}\nten\n\
                #[cfg(all(test, unix))]\nuse a::{\n    b,\n};\nfifteen\n#[cfg(test)]\nfn f() {}\nlast\n";
    let kept = [(1, "one"), (4, "four"), (10, "ten"), (15, "fifteen"), (18, "last")];
    assert_eq!(without_tests(text), kept);
}

#[test]
fn files_fit_a_head() {
    let mut faults = Vec::new();
    for file in sources().into_iter().filter(|file| !is_test(file)) {
        let lines = without_tests(&text(&root().join(&file))).len();
        if lines > LINES_MAX && !LONG.iter().any(|(long, _)| *long == file) {
            faults.push(format!("{file}: {lines} lines; split it, or say why not in tests/house.rs"));
        }
    }
    for (file, reason) in LONG {
        let lines = fs::read_to_string(root().join(file)).map_or(0, |text| without_tests(&text).len());
        if lines <= LINES_MAX || reason.is_empty() {
            faults.push(format!("{file}: listed as long, but has {lines} lines, or no reason is given"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Files that git keeps; none where this is no checkout.
fn tracked() -> Vec<PathBuf> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let Ok(listed) = listed else { return Vec::new() };
    let names = String::from_utf8_lossy(&listed.stdout).into_owned();
    names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect()
}

#[test]
fn nothing_names_a_machine() {
    let files = tracked();
    if files.is_empty() {
        println!("skipped: this is no git checkout");
        return;
    }
    // In two parts, so that this file does not name them.
    let places = [("/wo", "rk/"), ("/ro", "ot/"), ("/ho", "me/"), ("/tm", "p/"), ("/Use", "rs/")];
    let places = places.map(|(a, b)| format!("{a}{b}"));
    let mut faults = Vec::new();
    for file in files {
        // Deleted in the work tree, or not text.
        let Ok(text) = fs::read_to_string(root().join(&file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            for place in &places {
                let is_absolute = |(at, _): (usize, &str)| {
                    !line[..at]
                        .ends_with(|before: char| before.is_alphanumeric() || "._-})$".contains(before))
                };
                if line.match_indices(place.as_str()).any(is_absolute) {
                    faults.push(format!("{}:{}: names {place}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_lock_knows_one_registry() {
    let lock: toml::Table = text(&root().join("Cargo.lock")).parse().expect("TOML");
    for package in lock["package"].as_array().expect("packages") {
        if let Some(source) = package.get("source").and_then(toml::Value::as_str) {
            assert_eq!(
                source, "registry+https://github.com/rust-lang/crates.io-index",
                "{}",
                package["name"]
            );
        }
    }
}

/// A rule that cannot fail is none.
#[test]
fn the_rules_bite() {
    let source = "//! crate::doc\nuse crate::batch::Engine;\nuse crate::{a, b::C, Root};\nlet x = crate::Type;\n\
                  #[cfg(test)]\nmod tests {\n use crate::later; }";
    let found = neighbours(source);
    let names: Vec<_> = found.iter().map(|(line, name)| (*line, name.as_str())).collect();
    assert_eq!(names, [(2, "batch"), (3, "a"), (3, "b")]);
    assert!(is_test("crates/engine/src/decode/tests/rules.rs") && is_test("src/config/tests.rs"));
    assert!(!is_test("src/config/mod.rs"));
    let broken = std::panic::catch_unwind(|| hold_floors("crates/engine/src", &[("batch", &[])]));
    assert!(broken.is_err(), "an empty table must not hold");
}
