//! docs/failures.md names tests; each of them must exist, and each row must name one or say that it has none.

use std::fs;
use std::path::Path;

fn text(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// The tests that a line names, as `FILE.rs::NAME` in backquotes: file and name.
fn named(line: &str) -> Vec<(&str, &str)> {
    line.split('`').skip(1).step_by(2).filter_map(|code| code.split_once(".rs::")).collect()
}

/// Whether a test of this name stands in a file: a function below `#[test]`, or in a property's block.
fn is_test(file: &str, name: &str) -> bool {
    let mut is_marked = false;
    for line in file.lines().map(str::trim_start) {
        if line.starts_with("#[test]") {
            is_marked = true;
        } else if let Some(rest) = line.strip_prefix("fn ") {
            if is_marked && rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('(')) {
                return true;
            }
            is_marked = false;
        }
    }
    false
}

#[test]
fn every_test_that_is_named_exists() {
    let page = text("docs/failures.md");
    let mut faults = Vec::new();
    let mut rows = 0;
    for (number, line) in (1..).zip(page.lines()) {
        let tests = named(line);
        for (file, name) in &tests {
            if !is_test(&text(&format!("{file}.rs")), name) {
                faults.push(format!("docs/failures.md:{number}: {file}.rs has no test {name}"));
            }
        }
        let is_row = line.starts_with("| ") && !line.starts_with("| | fault");
        rows += usize::from(is_row);
        if is_row && tests.is_empty() && !line.contains("**not ") {
            faults.push(format!("docs/failures.md:{number}: names no test and does not say so"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(rows > 50, "{rows} rows were found");
}

#[test]
fn what_is_no_test_is_none() {
    assert_eq!(named("| `a/b.rs::one`, `x`, `c.rs::two` (b.rs::three)"), [("a/b", "one"), ("c", "two")]);
    let file = "#[test]\n#[ignore]\nfn one() {}\nfn two() {}\n    #[test]\n    fn three(x in 0..9) {\n";
    assert!(is_test(file, "one") && is_test(file, "three"));
    assert!(!is_test(file, "two") && !is_test(file, "on") && !is_test(file, "one_more"));
}
