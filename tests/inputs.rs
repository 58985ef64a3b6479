//! What goes wrong with an input, as real processes meet it: pipes, names that lie, rows and lines that are none.
//!
//! Holds: a test waits for bytes, an end of file or an exit, never for a time.
//! Not here: what a source yields (`cartguard_io`'s own tests), what a good run writes (`cli`).

mod shop;

use serde_json::Value;
use shop::{Shop, checkout, checkouts, gzip, holds, said, signal, wait_for, zstd};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::symlink;

/// SIGTERM ends what waits for a pipe that nobody writes into, before its first byte.
#[test]
fn a_pipe_without_a_writer_is_no_trap() {
    for name in ["pipe.jsonl", "pipe.csv", "pipe.jsonl.gz", "pipe.jsonl.zst"] {
        let shop = Shop::with_checkouts();
        shop.make_pipe(name);
        let replay = ["replay", "--input", "in.jsonl", name, "--output", "out"];
        let child = shop.start(&replay);
        wait_for(|| {
            let decisions = fs::read_to_string(shop.path("out/decisions.jsonl"));
            decisions.is_ok_and(|text| text.contains("e-999"))
        });
        signal("-TERM", &child);
        let (_, complained) = said(child.wait_with_output().expect("an end"), 143, &replay);
        holds(&complained, &["SIGTERM", name, "no summary.json"]);

        let paths = format!("source.paths=[\"in.jsonl\", \"{name}\"]");
        let run = ["run", "--set", "source.type=file", "--set", &paths];
        let mut child = shop.start(&run);
        let mut decisions = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut text = String::new();
        while !text.contains("e-999") {
            assert!(decisions.read_line(&mut text).expect("a decision") > 0, "ended early");
        }
        signal("-TERM", &child);
        said(child.wait_with_output().expect("an end"), 0, &run);
    }
}

/// A pipe whose writer comes late, in pieces, is read to its end.
#[test]
fn a_pipe_is_read_whatever_it_carries() {
    let text = checkouts(0, 400);
    let csv = "event_id,event_time,amount\na,2026-03-01T10:00:00Z,1\nb,2026-03-01T10:00:00Z,2\n";
    let cases: [(&str, Vec<u8>, usize); 4] = [
        ("pipe.jsonl", text.clone().into_bytes(), 400),
        ("pipe.csv", csv.into(), 2),
        ("pipe.jsonl.gz", gzip(text.as_bytes()), 400),
        ("pipe.jsonl.zst", zstd(text.as_bytes()), 400),
    ];
    for (name, bytes, count) in cases {
        let shop = Shop::with_checkouts();
        shop.make_pipe(name);
        let replay = ["replay", "--input", name, "--output", "out"];
        let child = shop.start(&replay);
        wait_for(|| shop.path("out/decisions.jsonl").exists());
        let mut pipe = fs::File::options().write(true).open(shop.path(name)).expect("a reader");
        for piece in bytes.chunks(bytes.len() / 7) {
            pipe.write_all(piece).expect("taken");
        }
        drop(pipe);
        said(child.wait_with_output().expect("an end"), 0, &replay);
        assert_eq!(shop.read("out/decisions.jsonl").lines().count(), count, "{name}");
    }
}

#[test]
fn a_file_that_is_not_what_its_name_says_is_refused() {
    let shop = Shop::with_checkouts();
    let refused = |name: &str, bytes: &[u8], parts: &[&str]| {
        shop.write(name, bytes);
        let (_, complained) = shop.ends(2, &["replay", "--input", "in.jsonl", name, "--output", "out"]);
        holds(&complained, &[&format!("{name}: ")]);
        holds(&complained, parts);
        assert!(!shop.path("out").exists());
    };
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0];
    refused("a.jsonl", &gzip, &["gzip", "a.jsonl.gz"]);
    refused("a.csv", &gzip, &["gzip", "a.csv.gz"]);
    refused("z.json", &[0x28, 0xb5, 0x2f, 0xfd, 0, 0], &["zstd", "z.json.zst"]);
    refused("p.jsonl", b"PAR1....PAR1", &["Parquet", ".parquet"]);
    refused("list.json", b"\n [\n{\"event_id\":1}\n]\n", &["JSON array", "one record a line"]);
    refused("list.jsonl", b"[{\"event_id\":1}]", &["JSON array", "one record a line"]);
}

/// D1: what is no JSON object is a reject with its place, and the stream goes on; an empty line is no record.
#[test]
fn blank_lines_and_byte_order_marks() {
    let shop = Shop::with_checkouts();
    let lines = ["\u{feff}", &checkout(0), "\n", "\r\n", " \t\n", &checkout(1), "\n"].concat();
    shop.write("in.jsonl", lines);
    shop.ends(0, &["replay", "--input", "in.jsonl", "--output", "out"]);
    let rejects: Vec<Value> = shop
        .read("out/rejects.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a reject"))
        .collect();
    let told: Vec<_> = rejects.iter().map(|r| (r["position"]["line"].clone(), r["reason"].clone())).collect();
    assert_eq!(told, [(1.into(), "invalid_json".into()), (4.into(), "invalid_json".into())]);
    assert_eq!(shop.read("out/decisions.jsonl").lines().count(), 1);
}

#[test]
fn mapped_columns_that_are_absent_are_told_once_when_the_file_is_opened() {
    let shop = Shop::with_checkouts();
    // Required: refused before anything is made, with the nearest column.
    shop.write("bad.csv", "eventid,event_time,price\na,2026-03-01T10:00:00Z,1.00\n");
    let run = ["run", "--set", "source.type=file", "--set", "source.paths=[\"bad.csv\"]"];
    for arguments in [&["replay", "--input", "in.jsonl", "bad.csv", "--output", "out"][..], &run] {
        let (_, complained) = shop.ends(2, arguments);
        let told = "bad.csv: mapped columns are absent: \"event_id\" (event.id; did you mean \"eventid\"?), \
                    \"amount\" (event.amount)\n";
        holds(&complained, &[told]);
        assert!(!shop.path("out").exists());
    }
    // Optional: one warning a file.
    let header = "event_id,event_time,amount,custmer_id,card_id,shipping.country";
    shop.write(
        "in.csv",
        format!("{header}\na,2026-03-01T10:00:00Z,1,c,k,DE\nb,2026-03-01T10:00:00Z,1,c,k,DE\n"),
    );
    let (_, complained) = shop.ends(0, &["replay", "--input", "in.csv", "--output", "out"]);
    let warnings: Vec<_> = complained.lines().filter(|line| line.contains("columns are absent")).collect();
    assert_eq!(warnings.len(), 1, "{complained}");
    holds(
        warnings[0],
        &[
            "warning: in.csv: mapped columns are absent, and what needs them is missing: \"currency\" (event.currency), ",
            "\"customer_id\" (entities.customer; did you mean \"custmer_id\"?), ",
            "\"shipping.country\" (event.fields.shipping_country; the column of that name is mapped as \
             \"/shipping.country\"), ",
        ],
    );
    assert!(!warnings[0].contains("\"card_id\""), "{complained}");
    assert!(!warnings[0].contains("did you mean \"shipping.country\""), "{complained}");
    assert_eq!(warnings[0].matches("\"customer_id\"").count(), 1, "{complained}");
}

#[test]
fn a_row_that_cannot_be_read_is_an_invalid_row() {
    let shop = Shop::with_checkouts();
    let rows = "event_id,event_time,amount\n\
                a,2026-03-01T10:00:00Z,1.00\n\
                b,2026-03-01T10:00:00Z\n\
                c,2026-03-01T10:00:00Z,1.00,more\n\
                d,\"2026-03-01T10:00:00Z\"x,1.00\n\
                e,2026-03-01T10:00:00Z,\"1.00\n";
    shop.write("in.csv", rows);
    let (said, _) = shop.ends(0, &["replay", "--input", "in.csv", "--output", "out"]);
    holds(&said, &["accepted 1, ", "rejects 4"]);
    for line in shop.read("out/rejects.jsonl").lines() {
        let reject: Value = serde_json::from_str(line).expect("a reject");
        assert_eq!(reject["reason"], "invalid_row", "{line}");
        assert_eq!(
            reject["detail"],
            "the record is a row with other columns than the header, or with quotes that do not match"
        );
    }
}

#[test]
fn an_input_that_would_be_overwritten_is_refused_and_kept() {
    let shop = Shop::with_checkouts();
    shop.make_folder("out");
    let before = checkouts(0, 300);
    shop.write("out/decisions.jsonl", &before);
    fs::hard_link(shop.path("out/decisions.jsonl"), shop.path("same.jsonl")).expect("a link");
    symlink("out/decisions.jsonl", shop.path("link.jsonl")).expect("a link");
    for input in ["out/decisions.jsonl", "same.jsonl", "link.jsonl"] {
        for extra in [None, Some("--discard")] {
            let replay = ["replay", "--input", "in.jsonl", input, "--output", "out", "--force"];
            let arguments: Vec<_> = replay.into_iter().chain(extra).collect();
            let (_, complained) = shop.ends(2, &arguments);
            holds(&complained, &[input, "out/decisions.jsonl", "is an input"]);
        }
        let paths = format!("source.paths=[\"{input}\"]");
        let run = ["run", "--force", "--set", "source.type=file", "--set", &paths];
        let sink = ["--set", "sink.type=file", "--set", "sink.path=out"];
        let (_, complained) = shop.ends(2, &[run.as_slice(), &sink].concat());
        holds(&complained, &[input, "out/decisions.jsonl", "is an input"]);
        assert!(shop.read("out/decisions.jsonl") == before, "the input was changed");
        assert_eq!(shop.files("out"), ["decisions.jsonl"]);
    }
    // Another file of the folder is no output.
    shop.write("out/mine.jsonl", &before);
    shop.ends(0, &["replay", "--input", "out/mine.jsonl", "--output", "out", "--force"]);
}
