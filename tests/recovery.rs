//! A history that was cut off and what is done about it, as real processes meet it: torn and damaged snapshots and order logs, another
//! configuration, another process, outputs that are gone.

mod shop;

use serde_json::Value;
use shop::{Shop, checkouts, holds, signal, wait_for};
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
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
    shop::said(first.wait_with_output().expect("it ends"), 0, &["run"]);
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
    shop::said(first.wait_with_output().expect("it ends"), 0, &["run"]);
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
