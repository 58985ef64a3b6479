//! A history that was cut off and what is done about it, as real processes meet it: torn and damaged snapshots and order logs, another
//! configuration, another process, outputs that are gone.

mod shop;

use cartguard_history::Manifest;
use serde_json::Value;
use shop::{Shop, checkouts, crc32, holds, said, signal, wait_for};
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

const FILES: [&str; 3] = ["decisions.jsonl", "alerts.jsonl", "rejects.jsonl"];

const CONFIG: &str = "[source]\ntype = \"file\"\npaths = [\"in.jsonl\"]\n[sink]\ntype = \"file\"\npath = \"out\"\n[engine]\nworkers = 2\n\
    batch_max = 20\n[history]\nfolder = \"data\"\n[snapshot]\nevery_records = 200\n";

/// A shop whose process was killed after so many batches of 20, with what an undisturbed run writes in `whole`.
fn killed_after(batches: u32) -> Shop {
    let shop = Shop::with_checkouts();
    shop.write("c.toml", CONFIG);
    shop.good(&["replay", "--config", "c.toml", "--input", "in.jsonl", "--output", "whole"]);
    kill_at(&shop, &format!("released:{batches}"));
    shop
}

fn kill_at(shop: &Shop, point: &str) {
    let mut command = shop.command(&["run", "--config", "c.toml"]);
    let output = command.env("CARTGUARD_KILL_POINT", point).output().expect("cartguard runs");
    assert_eq!(output.status.code(), None, "{}", String::from_utf8_lossy(&output.stderr));
}

/// Goes on to the end; what it complained of.
fn go_on(shop: &Shop) -> String {
    let (_, complained) = shop.ends(0, &["run", "--config", "c.toml"]);
    for name in FILES {
        let [whole, written] =
            ["whole", "out"].map(|folder| fs::read(shop.path(folder).join(name)).expect("a file"));
        assert!(whole == written, "{name} differs from that of an undisturbed run");
    }
    complained
}

/// Files of the data folder with an ending, in order of their names.
fn stored(shop: &Shop, folder: &str, ending: &str) -> Vec<PathBuf> {
    let names = shop.files(folder);
    names.iter().filter(|name| name.ends_with(ending)).map(|name| shop.path(folder).join(name)).collect()
}

/// A bit of a byte becomes another one.
fn flip(path: &PathBuf, at: usize) {
    let mut bytes = fs::read(path).expect("a file");
    let at = at.min(bytes.len() - 1);
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("written");
}

/// P1, P2
#[test]
fn a_torn_or_damaged_snapshot_is_passed_by_for_the_one_before() {
    let damages: [fn(&Shop); 4] = [
        |shop| {
            let newest = stored(shop, "data/snapshots", ".manifest").pop().expect("a manifest");
            let text = fs::read(&newest).expect("a file");
            fs::write(&newest, &text[..text.len() / 2]).expect("written");
        },
        |shop| flip(&stored(shop, "data/snapshots", ".manifest").pop().expect("a manifest"), 400),
        |shop| damage_newest(shop, |pack| flip(pack, 50)),
        |shop| damage_newest(shop, |pack| fs::remove_file(pack).expect("removed")),
    ];
    for damage in damages {
        let shop = killed_after(3);
        with_manifests(&shop, 2);
        damage(&shop);
        holds(&go_on(&shop), &["note: snapshot", "the one before is used"]);
    }
}

/// Kills after a snapshot until there are so many.
fn with_manifests(shop: &Shop, count: usize) {
    while stored(shop, "data/snapshots", ".manifest").len() < count {
        kill_at(shop, "old_removed:1");
    }
}

/// A pack that only the newest snapshot needs.
fn damage_newest(shop: &Shop, damage: impl Fn(&PathBuf)) {
    let manifests = stored(shop, "data/snapshots", ".manifest");
    let texts: Vec<String> =
        manifests.iter().map(|path| fs::read_to_string(path).expect("a manifest")).collect();
    let (newest, older) = texts.split_last().expect("a manifest");
    let own: Vec<PathBuf> = stored(shop, "data/snapshots", ".pack")
        .into_iter()
        .filter(|pack| {
            let hash = pack.file_stem().expect("a name").to_string_lossy().into_owned();
            newest.contains(&hash) && !older.iter().any(|text| text.contains(&hash))
        })
        .collect();
    damage(own.first().expect("a pack of its own"));
}

#[test]
fn where_no_snapshot_can_be_used_it_says_so_and_changes_nothing() {
    let shop = killed_after(30);
    for manifest in stored(&shop, "data/snapshots", ".manifest") {
        flip(&manifest, 30);
    }
    let before = shop.read("out/decisions.jsonl");
    holds(&shop.bad(2, &["run", "--config", "c.toml"]), &["data: none of its", "snapshots can be used"]);
    assert_eq!(shop.read("out/decisions.jsonl"), before);
}

/// P11
#[test]
fn a_torn_end_of_the_order_log_is_cut_and_damage_within_is_refused() {
    let shop = killed_after(7);
    let log = stored(&shop, "data/order", ".log").pop().expect("a segment");
    let whole = fs::read(&log).expect("a file");
    fs::write(&log, &whole[..whole.len() - 5]).expect("written");
    holds(&go_on(&shop), &["note: data/order/", "its last record is torn and was never released"]);

    let shop = killed_after(7);
    flip(&stored(&shop, "data/order", ".log").pop().expect("a segment"), 130);
    let complained = shop.bad(2, &["run", "--config", "c.toml"]);
    holds(&complained, &["data/order/00000000000000000000.log: damaged at byte", "a whole record follows"]);
}

/// P8, P14
#[test]
fn a_history_of_something_else_is_refused_with_what_differs() {
    let shop = killed_after(30);
    let refused = |changed: String, parts: &[&str]| {
        shop.write("other.toml", changed);
        holds(&shop.bad(2, &["run", "--config", "other.toml"]), parts);
    };
    refused(
        CONFIG.replace("[history]\n", "[history]\npipeline = \"returns\"\n"),
        &["its snapshots are of the pipeline \"cartguard\"", "\"returns\""],
    );
    refused(
        CONFIG.replace("type = \"file\"\npaths = [\"in.jsonl\"]", "type = \"synthetic\""),
        &["of the source \"files\""],
    );
    shop.write(
        "few.toml",
        "[[feature]]\nentity = \"customer\"\nwindows = [\"10m\"]\naggregates = [\"count\"]\n",
    );
    refused(
        format!("{CONFIG}[features]\nfile = \"few.toml\"\n"),
        &["another configuration", "feature amount: is gone", "cartguard rebuild"],
    );
    refused(format!("{CONFIG}[dedupe]\nspan = \"1h\"\n"), &["dedupe.span: was 86400000, is 3600000"]);
    // A change of what decides is one between batches, and those behind the snapshot are of before.
    refused(
        format!("{CONFIG}[output]\nfeatures = \"none\"\n"),
        &["batches behind the snapshot were decided with output", "end it with SIGTERM, then change"],
    );
    shop.write("elsewhere.jsonl", shop.read("in.jsonl"));
    refused(
        CONFIG.replace("in.jsonl", "elsewhere.jsonl"),
        &["in.jsonl: was read before, and is not among the files"],
    );
    go_on(&shop);
    // Now nothing is behind it.
    shop.write("other.toml", format!("{CONFIG}[output]\nfeatures = \"none\"\n"));
    shop.good(&["run", "--config", "other.toml"]);
}

#[test]
fn records_that_are_other_ones_now_are_refused_and_nothing_is_sent() {
    let shop = killed_after(12);
    let text = shop.read("in.jsonl");
    // As long as before, so that every place stays.
    let other = text.replacen("\"customer_id\":\"c4\"", "\"customer_id\":\"c7\"", 1);
    assert_ne!(text, other);
    shop.write("in.jsonl", &other);
    let delivered = FILES.map(|file| shop.read(&format!("out/{file}")));
    let complained = shop.bad(2, &["run", "--config", "c.toml"]);
    holds(&complained, &["batch 0", "is not what was bound before; nothing of it is sent"]);
    shop.write("in.jsonl", &text[..400]);
    holds(&shop.bad(2, &["run", "--config", "c.toml"]), &["in.jsonl: 20 records up to"]);
    assert_eq!(
        FILES.map(|file| shop.read(&format!("out/{file}"))),
        delivered,
        "a refused start takes nothing away"
    );
}

#[test]
fn outputs_that_somebody_removed_are_not_passed_over() {
    let shop = killed_after(3);
    with_manifests(&shop, 2);
    shop.write("out/decisions.jsonl", "");
    let complained = shop.bad(2, &["run", "--config", "c.toml"]);
    holds(&complained, &["out/decisions.jsonl: holds 0 bytes, and the snapshot was taken when it held"]);
}

/// P9
#[test]
fn two_processes_do_not_share_a_data_folder() {
    let shop = Shop::new();
    shop.write(
        "c.toml",
        "[source]\ntype = \"synthetic\"\nrate = 100\n[sink]\ntype = \"null\"\n[history]\nfolder = \"data\"\n",
    );
    let first = shop.start(&["run", "--config", "c.toml"]);
    wait_for(|| {
        fs::read_to_string(shop.path("data/lock")).is_ok_and(|text| text.trim() == first.id().to_string())
    });
    let complained = shop.bad(2, &["run", "--config", "c.toml"]);
    holds(&complained, &[&format!("data: process {} uses it", first.id())]);
    signal("-TERM", &first);
    said(first.wait_with_output().expect("it ends"), 0, &["run"]);
    let complained = shop.bad(2, &["run", "--set", "source.type=stdin", "--config", "c.toml"]);
    holds(&complained, &["what comes from stdin cannot be read again"]);
}

/// O2: the next start has nothing to do again.
#[test]
fn sigterm_ends_with_a_snapshot_of_where_it_stands() {
    let shop = Shop::new();
    shop.write(
        "c.toml",
        "[source]\ntype = \"synthetic\"\nrate = 2000\nevents = 3000\n[sink]\ntype = \"file\"\npath = \"out\"\n[history]\nfolder = \"data\"\n",
    );
    let first = shop.start(&["run", "--config", "c.toml"]);
    wait_for(|| fs::metadata(shop.path("out/decisions.jsonl")).is_ok_and(|file| file.len() > 100_000));
    signal("-TERM", &first);
    said(first.wait_with_output().expect("it ends"), 0, &["run"]);
    let said = shop.good(&["verify", "--config", "c.toml", "--newest"]);
    holds(&said, &["no batch behind the snapshot: 0 records derived again"]);
    shop.good(&["run", "--config", "c.toml"]);
    let lines = shop.json_lines("out/decisions.jsonl");
    let sequences: Vec<u64> = lines.iter().filter_map(|line| line["sequence"].as_u64()).collect();
    assert!(sequences.is_sorted_by(|one, next| one < next), "each once, in order");
    assert!(sequences.len() > 2_500 && sequences.last() <= Some(&2_999));
}

#[test]
fn verify_derives_all_again_and_names_the_first_difference() {
    let shop = killed_after(13);
    go_on(&shop);
    let said = shop.good(&["verify", "--config", "c.toml", "--outputs"]);
    holds(&said, &["records derived again", "every hash equal", "bytes of outputs compared, equal"]);
    shop.good(&["replay", "--config", "c.toml", "--order-log", "data", "--output", "again"]);
    for name in FILES {
        let [whole, again] =
            ["whole", "again"].map(|folder| fs::read(shop.path(folder).join(name)).expect("a file"));
        assert!(whole == again, "{name}: told again it is the undisturbed run");
    }
    let text = shop.read("out/decisions.jsonl");
    let at = text.rfind("\"score\"").expect("a decision");
    flip(&shop.path("out/decisions.jsonl"), at + 3);
    let complained = shop.bad(1, &["verify", "--config", "c.toml", "--outputs"]);
    holds(
        &complained,
        &[&format!("out/decisions.jsonl: byte {}: line ", at + 3), "is not what comes of its records"],
    );
    shop.good(&["verify", "--config", "c.toml"]);
    holds(&shop.bad(2, &["verify", "--set", "history.folder=nowhere"]), &["stdin cannot be read again"]);
}

/// I6: a reader that does not read holds the sink back, and the manifest with it.
#[test]
fn a_snapshot_stands_only_where_all_before_it_was_delivered() {
    let shop = Shop::new();
    // A source that brings 1,000 checkouts and does not end, and room for their decisions to wait.
    shop.make_pipe("in.jsonl");
    shop.write(
        "c.toml",
        CONFIG.replace("type = \"file\"\npath = \"out\"", "type = \"stdout\"") + "[queue]\noutput = 4096\n",
    );
    let mut command = shop.command(&["run", "--config", "c.toml"]);
    let mut child = command.env("CARTGUARD_KILL_POINT", "manifest_stored:1").spawn().expect("cartguard runs");
    let mut pipe = fs::File::options().write(true).open(shop.path("in.jsonl")).expect("a reader");
    pipe.write_all(checkouts(0, 1_000).as_bytes()).expect("a reader");
    wait_for(|| shop.path("data/snapshots").is_dir() && !stored(&shop, "data/snapshots", ".pack").is_empty());
    // Time for a manifest that should not be.
    sleep(Duration::from_millis(300));
    let mut text = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut text).expect("text");
    child.wait().expect("it is killed");
    drop(pipe);
    let listed = shop.good(&["snapshot", "list", "--config", "c.toml", "--json"]);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let stands =
        listed.as_array().and_then(|list| list.last()).and_then(|newest| newest["sequence"].as_u64());
    let stands = stands.expect("a snapshot") as usize;
    assert!(stands > 0, "{listed}");
    // The last line may be torn.
    let delivered = text.matches('\n').count();
    assert!(delivered >= stands, "{delivered} of the {stands} decisions before the snapshot were delivered");
}

/// Everything in a folder of the tests, copied.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).expect("copied");
        }
    }
}

/// O7, T8: what an earlier version left behind, killed between two snapshots, is gone on with to the bytes that it would have written.
#[test]
fn a_history_of_every_earlier_version_goes_on_with_the_same_bytes() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/history");
    for entry in fs::read_dir(golden).expect("a folder") {
        let shop = Shop::new();
        copy(&entry.expect("an entry").path(), &shop.path("."));
        let list = shop.good(&["snapshot", "list", "--config", "c.toml", "--json"]);
        let list: Value = serde_json::from_str(&list).expect("JSON");
        let newest = list.as_array().and_then(|list| list.last()).expect("a snapshot");
        let (batch, behind) = (newest["batch"].as_u64(), newest["records_behind"].as_u64());
        assert!(batch > Some(0) && behind > Some(0), "{newest:#}");
        let before = shop.read("out/decisions.jsonl").lines().count();
        let (_, complained) = shop.ends(0, &["run", "--config", "c.toml"]);
        assert!(!complained.contains("is used"), "its newest snapshot is read: {complained}");
        for name in FILES {
            let [expected, written] =
                ["expected", "out"].map(|folder| fs::read(shop.path(folder).join(name)).expect("a file"));
            assert!(expected == written, "{name} differs from what its own version writes");
        }
        assert!(shop.read("out/decisions.jsonl").lines().count() > before, "there was more to come");
        shop.good(&["verify", "--config", "c.toml", "--outputs"]);
    }
}

/// P8, O7: not taken for damage, whose cure would be an older snapshot, or a shorter log.
#[test]
fn what_a_later_version_wrote_is_refused_and_left_alone() {
    let shop = killed_after(3);
    with_manifests(&shop, 2);
    let newest = stored(&shop, "data/snapshots", ".manifest").pop().expect("a manifest");
    let text = fs::read_to_string(&newest).expect("a manifest");
    let manifest = Manifest::of_text(&text).expect("a whole one");
    let later = Manifest { format: Manifest::FORMAT + 1, written_by: "9.0.0".to_owned(), ..manifest };
    fs::write(&newest, later.to_text()).expect("written");
    let files = shop.files("data/snapshots");
    let told = ["has format 2 and is of cartguard 9.0.0", "go on with the version that wrote it"];
    let prune = &["snapshot", "prune", "--keep", "1"];
    // `verify` begins with an old one, and would never come to it.
    for command in [&["run"][..], prune, &["verify"], &["verify", "--newest"]] {
        let complained = shop.bad(2, &[command, &["--config", "c.toml"]].concat());
        holds(&complained, &told);
    }
    holds(&shop.good(&["snapshot", "list", "--config", "c.toml"]), &["has format 2"]);
    assert_eq!(shop.files("data/snapshots"), files);
    fs::write(&newest, text).expect("written");
    go_on(&shop);

    let shop = killed_after(7);
    let log = stored(&shop, "data/order", ".log").pop().expect("a segment");
    let mut bytes = fs::read(&log).expect("a file");
    // Prefix: three bytes of length, one of format, four of CRC.
    let length = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], 0]) as usize;
    let mut last = 0;
    while last + 8 + length(last) < bytes.len() {
        last += 8 + length(last);
    }
    bytes[last + 3] = 1;
    let crc = crc32(&[&bytes[last + 8..], &[1]].concat());
    bytes[last + 4..last + 8].copy_from_slice(&crc.to_le_bytes());
    fs::write(&log, &bytes).expect("written");
    for command in ["run", "verify"] {
        let complained = shop.bad(2, &[command, "--config", "c.toml"]);
        holds(&complained, &["data/order/", "has format 1", "go on with the version that wrote it"]);
    }
    assert_eq!(fs::read(&log).expect("a file"), bytes, "nothing is cut off");
}

/// A command on a disk that fails, once, at the sync of this number of a path that holds `part`. Each sync is a line in `calls`.
fn on_failing_disk(shop: &Shop, part: &str, at: u32, arguments: &[&str]) -> Command {
    let library = shop.path("sync_fails.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shop/sync_fails.c");
    // What links Rust is there.
    let made =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl").status();
    assert!(made.expect("cc runs").success());
    let mut command = shop.command(arguments);
    command.env("LD_PRELOAD", &library).env("SYNC_CALLS", shop.path("calls"));
    command.env("SYNC_FAILS_IN", part).env("SYNC_FAILS_AT", at.to_string());
    command
}

/// A run that ends so: what it complained of, and how often such a path was synced.
fn with_failing_disk(shop: &Shop, part: &str, at: u32, more: &[&str]) -> (String, usize) {
    let arguments = [&["run", "--config", "c.toml"], more].concat();
    let output = on_failing_disk(shop, part, at, &arguments).output().expect("cartguard runs");
    let (_, complained) = said(output, 1, &arguments);
    holds(&complained, &["Input/output error"]);
    (complained, shop.read("calls").lines().filter(|path| path.contains(part)).count())
}

/// With what an undisturbed run writes in `whole`.
fn at_level_host() -> Shop {
    let shop = Shop::with_checkouts();
    shop.write("c.toml", CONFIG.replace("[history]\n", "[history]\nlevel = \"host\"\n"));
    shop.good(&["replay", "--config", "c.toml", "--input", "in.jsonl", "--output", "whole"]);
    shop
}

/// P4: nobody knows what is on a disk that could not be synced, and to ask again would be to be told that all is well.
#[test]
fn an_order_log_that_cannot_be_synced_ends_the_process_and_nothing_of_it_is_released() {
    let shop = at_level_host();
    let one_by_one = ["--set", "engine.batch_max=1"];
    let (complained, syncs) = with_failing_disk(&shop, "data/order/0", 5, &one_by_one);
    holds(&complained, &["data/order/00000000000000000000.log: cannot be synced"]);
    assert_eq!(syncs, 5, "it is not asked again");
    assert_eq!(shop.read("out/decisions.jsonl").lines().count(), 4, "the fifth was not released");
    go_on(&shop);

    // The name of a segment: before there is anything in it.
    let shop = at_level_host();
    let (complained, _) = with_failing_disk(&shop, "data/order", 1, &[]);
    holds(&complained, &["data/order: the folder cannot be synced"]);
    assert_eq!(shop.read("out/decisions.jsonl"), "");
    go_on(&shop);
}

/// P4: of a snapshot, and of its name.
#[test]
fn a_snapshot_that_cannot_be_synced_ends_the_process_and_does_not_stand() {
    for (part, at, told) in [
        (".pack.", 1, "bytes cannot be written"),
        // After that of the folder when it is opened, two for the first manifest and the first pack's own.
        ("data/snapshots", 5, "data/snapshots: the folder cannot be synced"),
    ] {
        let shop = at_level_host();
        let (complained, _) = with_failing_disk(&shop, part, at, &[]);
        holds(&complained, &[told]);
        let stand = stored(&shop, "data/snapshots", ".manifest");
        assert_eq!(stand.len(), 1, "{part}: only that of the empty state: {stand:?}");
        go_on(&shop);
    }
}

/// P5: what a snapshot counts on of files is on the disk before it stands.
#[test]
fn outputs_are_synced_before_a_snapshot_counts_on_them() {
    let shop = at_level_host();
    fs::rename(shop.path("in.jsonl"), shop.path("all.jsonl")).expect("renamed");
    // A source that does not end, so that nothing else has the outputs synced.
    shop.make_pipe("in.jsonl");
    let run = ["run", "--config", "c.toml"];
    let child = on_failing_disk(&shop, "out/decisions.jsonl", 1, &run).spawn().expect("cartguard runs");
    let mut pipe = fs::File::options().write(true).open(shop.path("in.jsonl")).expect("a reader");
    pipe.write_all(shop.read("all.jsonl").as_bytes()).expect("a reader");
    let calls = || fs::read_to_string(shop.path("calls")).unwrap_or_default();
    wait_for(|| calls().contains("out/decisions.jsonl"));
    drop(pipe);
    let (_, complained) = said(child.wait_with_output().expect("it ends"), 1, &run);
    holds(&complained, &["out/decisions.jsonl: cannot be synced: Input/output error"]);
    assert_eq!(stored(&shop, "data/snapshots", ".manifest").len(), 1, "only that of the empty state");
    fs::remove_file(shop.path("in.jsonl")).expect("a pipe");
    fs::rename(shop.path("all.jsonl"), shop.path("in.jsonl")).expect("renamed");
    go_on(&shop);
}
