//! Every way in which a configuration can be wrong, and the message that tells it.

use super::load;
use crate::config::Given;

/// A file with one fault, or several.
#[track_caller]
fn faults(text: &str, expected: &[&str]) {
    assert_eq!(load(text, &[]).err().unwrap_or_default(), expected, "{text}");
}

#[test]
fn unknown_keys_and_sections() {
    faults(
        "[time]\nlatness = '2s'\n",
        &["shop.toml:2:1: time.latness: unknown key; did you mean \"lateness\"?"],
    );
    faults("[tiem]\nlateness = '2s'\n", &["shop.toml:1:2: tiem: unknown key; did you mean \"time\"?"]);
    faults(
        "[queue]\nsurprise = 1\n",
        &["shop.toml:2:1: queue.surprise: unknown key; known here: input, output"],
    );
    faults(
        "[event.currency]\npath = 'c'\ndefualt = 'EUR'\n",
        &["shop.toml:3:1: event.currency.defualt: unknown key; did you mean \"default\"?"],
    );
    faults("time = 3\n", &["shop.toml:1:8: time: 3 is not a table; write [time] and its keys below it"]);
}

#[test]
fn syntax() {
    faults(
        "[time]\nlateness = \n[queue]\ninput = x\n",
        &[
            "shop.toml:2:12: not TOML: string values must be quoted, expected literal string",
            "shop.toml:4:9: not TOML: string values must be quoted, expected literal string",
        ],
    );
}

#[test]
fn values_of_the_wrong_form() {
    faults(
        "[time]\nlateness = '2 seconds'\nskew = 5\n",
        &[
            "shop.toml:2:12: time.lateness: \"2 seconds\" is not a duration; a whole number and a unit (ms, s, m, h, d), such as \"90s\"",
            "shop.toml:3:8: time.skew: 5 is not a duration; a whole number and a unit (ms, s, m, h, d), such as \"90s\"",
        ],
    );
    faults(
        "[dedupe]\nmemory = '4GB'\nspan = '500d'\n",
        &[
            "shop.toml:2:10: dedupe.memory: \"4GB\" is not a size; a whole number and a unit (B, KiB, MiB, GiB), such as \"4GiB\"",
            "shop.toml:3:8: dedupe.span: \"500d\" is out of range; from 0s to 400d",
        ],
    );
    faults(
        "[state]\nmemory = '1B'\nshards = 0\nentries_per_key = '9'\n",
        &[
            "shop.toml:2:10: state.memory: \"1B\" is out of range; from 1MiB to 16TiB",
            "shop.toml:3:10: state.shards: 0 is not a whole number from 1 to 4096",
            "shop.toml:4:19: state.entries_per_key: \"9\" is not a whole number from 16 to 16777216",
        ],
    );
    faults(
        "[engine]\nidle = 'sipn'\nbatch_max = 9000\n",
        &[
            "shop.toml:2:8: engine.idle: \"sipn\" is not known; one of park, spin; did you mean \"spin\"?",
            "shop.toml:3:13: engine.batch_max: 9000 is not a whole number from 1 to 8192",
        ],
    );
    faults(
        "[reasons]\nmax_share = 1.5\n[output]\nfeatures = true\n",
        &[
            "shop.toml:2:13: reasons.max_share: 1.5 is not a number from 0 to 1",
            "shop.toml:4:12: output.features: true is not a text; put it in quotes",
        ],
    );
    faults(
        "[source]\nseed = 99999999999999999999\n",
        &[
            "shop.toml:2:8: source.seed: an integer past 64 bits is not a whole number from 0 to 9223372036854775807",
        ],
    );
}

#[test]
fn the_event() {
    let found = load("[event]\nid = 'n'\n", &[]).err().unwrap_or_default();
    assert_eq!(
        found[..3],
        [
            "shop.toml:1:1: event.time: is missing; a path, or { path = \"…\", unit = \"ms\" }",
            "shop.toml:1:1: event.amount: is missing; a path such as \"order.id\"",
            "shop.toml:1:1: event.currency: is missing; a path, or { constant = \"EUR\" }",
        ]
    );
    let builtin = "features.file: builtin:checkout is for the schema checkout v1 and does not fit this one";
    assert!(found.len() == 4 && found[3].starts_with(&format!("shop.toml:2:6: {builtin}")), "{found:?}");
    faults(
        "[event]\namount = 'a..b'\n",
        &[
            "shop.toml:2:10: event.amount: \"a..b\" is no path: a name in it is empty; write \"shipping.country\", or \"/shipping/country\" where a name has dots",
        ],
    );
    faults(
        "[event]\ntime = { path = 'ts', unit = 'millis' }\n",
        &["shop.toml:2:30: event.time.unit: \"millis\" is not known; one of rfc3339, s, ms, us, ns"],
    );
    faults(
        "[event]\ncurrency = { path = 'c', constant = 'EUR' }\n",
        &["shop.toml:2:37: event.currency.constant: stands beside path; it is one or the other"],
    );
    faults(
        "[event]\ncurrency = {}\n",
        &[
            "shop.toml:2:12: event.currency: has neither path nor constant; { path = \"…\" } or { constant = \"EUR\" }",
        ],
    );
    faults(
        "[event]\ncurrency = { constant = 'eur' }\n",
        &[
            "shop.toml:2:25: event.currency.constant: \"eur\" is no ISO 4217 code such as \"EUR\"; did you mean \"EUR\"?",
        ],
    );
    faults(
        "[event]\nitems = { path = 'items', sku = 'a', quantity = 'a', price = 'p' }\n",
        &["shop.toml:2:9: event.items: names one member twice"],
    );
    faults(
        "[event.fields]\n'a-b' = 'x'\nhour = 'y'\nlog = 'z'\nn = { path = 'n', type = 'text' }\nk = { path = 'k', unit = 's' }\nm = 3\n",
        &[
            "shop.toml:2:1: event.fields.a-b: is no name; letters, digits and _, not a digit first",
            "shop.toml:3:1: event.fields.hour: is a name that expressions have already; call it otherwise",
            "shop.toml:4:1: event.fields.log: is a name that expressions have already; call it otherwise",
            "shop.toml:5:26: event.fields.n.type: \"text\" is not known; one of category, number, time",
            "shop.toml:6:26: event.fields.k.unit: belongs to type = \"time\"",
            "shop.toml:7:5: event.fields.m: 3 maps nothing; a path, or { path = \"…\", type = \"number\" }",
        ],
    );
    faults(
        "[event.fields]\nwhere = 'shipping'\n",
        &[
            "shop.toml:1:2: event: shipping.country lies inside shipping, which is mapped as a value or a basket of its own",
            "shop.toml:1:2: event: shipping.postal lies inside shipping, which is mapped as a value or a basket of its own",
            "shop.toml:1:2: event: shipping.address_hash lies inside shipping, which is mapped as a value or a basket of its own",
            "shop.toml:1:2: event: shipping.method lies inside shipping, which is mapped as a value or a basket of its own",
        ],
    );
}

/// A path leads through objects: no record has a member `items[0]` where a basket is meant.
#[test]
fn brackets_in_paths() {
    let told = |text: &str, pointer: &str| {
        format!(
            "{text:?} is no path: it leads into a list, and no single line of one can be mapped; the basket is event.items \
             (statistics of all its lines), and a name that has brackets is a pointer: {pointer:?}"
        )
    };
    let text = "[event]\namount = 'items[0].price'\n[event.fields]\nfirst = { path = 'items[0].sku' }\n\
                [entities]\ncard = ['customer_id', 'cards[0]']\n";
    faults(
        text,
        &[
            &format!("shop.toml:2:10: event.amount: {}", told("items[0].price", "/items[0]/price")),
            &format!("shop.toml:4:18: event.fields.first.path: {}", told("items[0].sku", "/items[0]/sku")),
            &format!("shop.toml:6:24: entities.card: {}", told("cards[0]", "/cards[0]")),
        ],
    );
    assert!(load("[event.fields]\nfirst = '/items[0]/sku'\n", &[]).is_ok());
}

#[test]
fn entities() {
    faults(
        "[entities]\n'x y' = 'a'\nnone = []\ntwice = ['a', 'a']\nnumber = 3\n",
        &[
            "shop.toml:2:1: entities.x y: is no name; letters, digits and _, not a digit first",
            "shop.toml:3:8: entities.none: 0 paths make no key; 1 to 8 do",
            "shop.toml:4:15: entities.twice: \"a\" stands in the key twice",
            "shop.toml:5:10: entities.number: 3 is no path; a path, or a list of paths whose values together are the key",
        ],
    );
    let many: Vec<_> = (0..46).map(|index| format!("e{index} = 'a'\n")).collect();
    faults(
        &format!("[entities]\n{}", many.concat()),
        &["shop.toml:1:1: entities: 65 kinds are too many; at most 64"],
    );
}

#[test]
fn money() {
    faults(
        "[money]\nbase = 'EURO'\n[money.rates]\nUSD = 0.92\nGBP = 'x'\nXYZ = '1'\nCHF = '0'\nSEK = '0.0123456789'\n",
        &[
            "shop.toml:2:8: money.base: \"EURO\" is no ISO 4217 code such as \"EUR\"",
            "shop.toml:4:7: money.rates.USD: 0.92 is not exact; a decimal greater than 0 in quotes, such as \"0.92\"",
            "shop.toml:5:7: money.rates.GBP: \"x\" is no rate; a decimal greater than 0 in quotes, such as \"0.92\"",
            "shop.toml:6:1: money.rates.XYZ: \"XYZ\" is no ISO 4217 code such as \"EUR\"",
            "shop.toml:7:7: money.rates.CHF: \"0\" is no rate; a decimal greater than 0 in quotes, such as \"0.92\"",
            "shop.toml:8:7: money.rates.SEK: \"0.0123456789\" has more than nine digits before or after the point; a decimal greater than 0 in quotes, such as \"0.92\"",
        ],
    );
    faults(
        "[money.rates]\nEUR = '1'\n",
        &["shop.toml:2:1: money.rates.EUR: is the base currency itself; its rate is 1 and is not written"],
    );
    faults(
        "[event]\ncurrency = { constant = 'JPY' }\n[money.rates]\nUSD = '0.92'\n",
        &[
            "shop.toml:3:2: money.rates: there is no rate for JPY, the currency of event.currency; give JPY = \"…\"",
        ],
    );
}

#[test]
fn adapters() {
    for (text, expected) in [
        (
            "[source]\ntype = 'kinesis'\n",
            if cfg!(feature = "aws") {
                "shop.toml:2:8: source.stream: is empty; the name or the ARN of a stream; source.type = \"kinesis\" needs it"
            } else {
                "shop.toml:2:8: source.type: kinesis needs a build with the feature aws (cargo build --release --features aws); \
                 one of file, stdin, synthetic"
            },
        ),
        (
            "[source]\ntype = 'kafka'\n",
            if cfg!(feature = "aws") {
                "shop.toml:2:8: source.type: this version has no adapter for kafka; one of file, stdin, synthetic, kinesis"
            } else {
                "shop.toml:2:8: source.type: this version has no adapter for kafka; one of file, stdin, synthetic"
            },
        ),
        (
            "[sink]\ntype = 's3'\n",
            if cfg!(feature = "aws") {
                "shop.toml:2:8: sink.type: this version has no adapter for s3; one of file, stdout, null, kinesis"
            } else {
                "shop.toml:2:8: sink.type: this version has no adapter for s3; one of file, stdout, null"
            },
        ),
        (
            "[source]\ntype = 'stdn'\n",
            if cfg!(feature = "aws") {
                "shop.toml:2:8: source.type: \"stdn\" is not known; one of file, stdin, synthetic, kinesis; did you mean \"stdin\"?"
            } else {
                "shop.toml:2:8: source.type: \"stdn\" is not known; one of file, stdin, synthetic; did you mean \"stdin\"?"
            },
        ),
        (
            "[source]\ntype = 'file'\n",
            "shop.toml:2:8: source.paths: is empty; the files to read, such as [\"events.jsonl.gz\"]; source.type = \"file\" needs it",
        ),
        (
            "[sink]\ntype = 'file'\n",
            "shop.toml:2:8: sink.path: is empty; the folder to write into; sink.type = \"file\" needs it",
        ),
        (
            "[sink]\ntype = 'file'\npath = ''\n",
            "shop.toml:3:8: sink.path: is empty; the folder to write into; sink.type = \"file\" needs it",
        ),
    ] {
        faults(text, &[expected]);
    }
}

#[test]
#[cfg(feature = "aws")]
fn streams() {
    faults(
        "[source]\ntype = 'kinesis'\nstream = 's'\nstart = 'AT_TIMESTAMP'\nstart_at = 'noon'\nconsumer = ''\n",
        &[
            "shop.toml:5:12: source.start_at: \"noon\" is no time; such as \"2026-11-24T06:00:00Z\"",
            "shop.toml:6:12: source.consumer: is empty; a name for the consumer that the mode fan-out registers; source.mode = \"fan-out\" needs it",
        ],
    );
    faults(
        "[source]\ntype = 'kinesis'\nstream = 's'\nconsumer = ''\n",
        &[
            "shop.toml:4:12: source.consumer: is empty; a name for the consumer that the mode fan-out registers; source.mode = \"fan-out\" needs it",
        ],
    );
    faults(
        "[source]\ntype = 'kinesis'\nstart = 'AT_TIMESTAMP'\n",
        &[
            "shop.toml:2:8: source.stream: is empty; the name or the ARN of a stream; source.type = \"kinesis\" needs it",
            "shop.toml:3:9: source.start_at: is empty; a time such as \"2026-11-24T06:00:00Z\"; source.start = \"AT_TIMESTAMP\" needs it",
        ],
    );
    let none = "sink.alerts: is empty, and so are decisions and rejects; the name of a stream for at least one; \
                sink.type = \"kinesis\" needs it";
    faults("[sink]\nlinger = '1ms'\ntype = 'kinesis'\n", &[&format!("shop.toml:3:8: {none}")]);
    assert_eq!(
        load("", &["sink.type=kinesis"]).err().unwrap_or_default(),
        [format!("flag --set sink.type=kinesis: {none}")]
    );
    faults(
        "[sink]\ntype = 'kinesis'\nrejects = 'r'\nrejects_file = 'r.jsonl'\n",
        &[
            "shop.toml:4:16: sink.rejects_file: rejects go to the stream of sink.rejects already; one of the two",
        ],
    );
}

/// G3: a placeholder used as it stands would be a password in clear.
#[test]
fn placeholders_that_nothing_filled_in() {
    faults(
        "[sink]\ntype = 'file'\npath = '${HOME}/out'\n[source]\npaths = ['SECRET[bucket]/a']\n",
        &[
            "shop.toml:3:8: sink.path: \"${HOME}/out\" is a placeholder that nothing filled in; write the value",
            "shop.toml:5:10: source.paths: \"SECRET[bucket]/a\" is a placeholder that nothing filled in; write the value",
        ],
    );
    let found = load("", &["model.path=${MODEL}"]).err().unwrap_or_default();
    assert_eq!(
        found,
        [
            "flag --set model.path=${MODEL}: model.path: \"${MODEL}\" is a placeholder that nothing filled in; write the value"
        ]
    );
}

#[test]
fn what_does_not_fit_together() {
    faults(
        "[state]\nshards = 2\n[engine]\nworkers = 3\n",
        &["shop.toml:4:11: engine.workers: 3 workers for 2 shards; a worker owns whole shards"],
    );
    let found = load("[state]\nentries_per_key = 16777216\n", &[]).err().unwrap_or_default();
    assert!(
        found[0].starts_with("shop.toml:2:19: state.entries_per_key: 16777216 are more than a key"),
        "{found:?}"
    );
}

#[test]
fn files_that_are_not_there() {
    let given = Given { file: Some("no/such.toml".into()), ..Given::default() };
    let found = crate::config::load(&given).err().unwrap_or_default();
    assert!(found[0].to_string().starts_with("no/such.toml: cannot be read: "), "{found:?}");
    let found = load("[features]\nfile = 'no-such.toml'\n", &[]).err().unwrap_or_default();
    assert!(
        found[0].starts_with("shop.toml:2:8: features.file: \"no-such.toml\" cannot be read: "),
        "{found:?}"
    );
    faults(
        "[features]\nfile = ''\n",
        &["shop.toml:2:8: features.file: \"\" is no features file; a path, or builtin:checkout"],
    );
    faults(
        "[features]\nfile = 'builtin:shop'\n",
        &["shop.toml:2:8: features.file: \"builtin:shop\" is no features file; a path, or builtin:checkout"],
    );
}

#[test]
fn flags_and_variables() {
    for (flag, expected) in [
        (
            "lateness=2s",
            "flag --set lateness=2s: lateness: is no key; a section and a key, such as time.lateness=2s",
        ),
        (
            "time.latenes=2s",
            "flag --set time.latenes=2s: time.latenes: unknown key; did you mean \"lateness\"?",
        ),
        (
            "time.lateness=2",
            "flag --set time.lateness=2: time.lateness: \"2\" is not a duration; a whole number and a unit (ms, s, m, h, d), such as \"90s\"",
        ),
        ("a..b=2", "flag --set a..b=2: a..b: is no key; a section and a key, such as time.lateness=2s"),
    ] {
        assert_eq!(load("", &[flag]).err().unwrap_or_default(), [expected]);
    }
    let given =
        Given { environment: vec![("CARTGUARD__TIME__LATENES".into(), "1s".into())], ..Given::default() };
    let found = crate::config::load(&given).err().unwrap_or_default();
    let expected =
        "environment CARTGUARD__TIME__LATENES: time.latenes: unknown key; did you mean \"lateness\"?";
    assert_eq!(found[0].to_string(), expected);
}

/// A file that cannot be read hides no fault of a variable or a flag, and makes none.
#[test]
fn flags_are_read_beside_a_file_that_is_no_toml() {
    let found = |text: &str, flags: &[&str]| load(text, flags).err().unwrap_or_default();
    let skew = "flag --set time.skew=soon: time.skew: \"soon\" is not a duration";
    let latness = "flag --set time.latness=1h: time.latness: unknown key; did you mean \"lateness\"?";
    let lines = found("[time\n", &["time.skew=soon", "time.latness=1h"]);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("shop.toml:1:6: not TOML: "), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with(skew)) && lines.iter().any(|line| line == latness));
    // Whether these are right, the file says.
    let flags = ["sink.type=file", "engine.workers=100", "event.id=n"];
    assert_eq!(found("[time\n", &flags).len(), 1);

    let given = Given {
        file: Some("gone.toml".into()),
        flags: vec![crate::config::Flag::set("time.skew=soon")],
        ..Given::default()
    };
    let faults = crate::config::load(&given).err().unwrap_or_default();
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert!(lines.len() == 2 && lines[0].starts_with("gone.toml: cannot be read: "), "{lines:?}");
    assert!(lines[1].starts_with(skew), "{lines:?}");
}

/// What is wrong with one key hides nothing that is wrong with others.
#[test]
fn one_fault_hides_no_other() {
    let pipeline = "shop.toml:2:12: history.pipeline: 3 is not a text; put it in quotes";
    let level =
        "shop.toml:3:9: history.level: \"hots\" is not known; one of process, host; did you mean \"host\"?";
    faults("[history]\npipeline = 3\nlevel = 'hots'\n", &[pipeline, level]);
    faults("[history]\npipeline = 3\nlevel = 'host'\n", &[pipeline]);
    faults(
        "[time]\nskew = 'x'\n[state]\nshards = 2\n[engine]\nworkers = 3\n",
        &[
            "shop.toml:2:8: time.skew: \"x\" is not a duration; a whole number and a unit (ms, s, m, h, d), such as \"90s\"",
            "shop.toml:6:11: engine.workers: 3 workers for 2 shards; a worker owns whole shards",
        ],
    );
    faults(
        "[labels]\nmaturity = '30d'\ndelay = 'x'\n[backtest]\nrate = 0.0\nfeatures = 'no-such.toml'\n[model]\npath = 'a'\nfolder = 'b'\nstart = 'x'\n",
        &[
            "shop.toml:2:12: labels.maturity: says when an event without a label is genuine, and there are no labels; give labels.column or labels.input",
            "shop.toml:3:9: labels.delay: \"x\" is not a duration; a whole number and a unit (ms, s, m, h, d), such as \"90s\"",
            "shop.toml:5:8: backtest.rate: 0 lets no tree count; a number above 0 and up to 1",
            "shop.toml:6:12: backtest.features: \"no-such.toml\" cannot be read: No such file or directory (os error 2)",
            "shop.toml:9:10: model.folder: is set, and model.path too; one model, or a folder whose deployment.toml names one",
            "shop.toml:10:9: model.start: \"x\" is not known; one of shadow, active, none",
        ],
    );
}

/// A features file is read for a schema without what is faulty, and of labels that are faulty it asks nothing.
#[test]
fn features_are_read_beside_faults_of_the_mapping() {
    let folder = tempfile::tempdir().expect("a folder");
    let features = "[[feature]]\nname = 'x'\nvalue = 'amout'\n[[feature]]\nentity = 'card'\nwindows = '1d'\naggregates = 'count'\nlabel = 'fraud'\n";
    std::fs::write(folder.path().join("f.toml"), features).expect("written");
    let name = folder.path().join("shop.toml").display().to_string();
    let text = "[labels]\ndelay = 'x'\n[features]\nfile = 'f.toml'\n";
    let found =
        crate::config::load_text(Some((&name, text)), &Given::default()).map_err(|refused| refused.faults);
    let found: Vec<String> = found.err().unwrap_or_default().iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].contains("shop.toml:2:9: labels.delay: ") && found[1].contains("f.toml:3:10: x: "),
        "{found:?}"
    );
    // A field that is there and faulty is not told as absent too.
    faults(
        "[event.fields]\ndiscount = 3\n",
        &[
            "shop.toml:2:12: event.fields.discount: 3 maps nothing; a path, or { path = \"…\", type = \"number\" }",
        ],
    );
}

/// All of them, of the configuration and of its features file, in the order of the texts.
#[test]
fn everything_wrong_is_told_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let features = folder.path().join("f.toml");
    std::fs::write(&features, "[[feature]]\nname = 'x'\nvalue = 'amout'\n").expect("written");
    let name = folder.path().join("shop.toml");
    let text = "[event]\nid = 3\n[time]\nlateness = 1\n[features]\nfile = 'f.toml'\n[oops]\n";
    let found = crate::config::load_text(Some((&name.display().to_string(), text)), &Given::default())
        .map_err(|refused| refused.faults);
    let found: Vec<String> = found.err().unwrap_or_default().iter().map(ToString::to_string).collect();
    let at = folder.path().display().to_string();
    let expected = [
        "shop.toml:1:1: event.time: is missing; a path, or { path = \"…\", unit = \"ms\" }",
        "shop.toml:1:1: event.amount: is missing; a path such as \"order.id\"",
        "shop.toml:1:1: event.currency: is missing; a path, or { constant = \"EUR\" }",
        "shop.toml:2:6: event.id: 3 is not a text; put it in quotes",
        "shop.toml:4:12: time.lateness: 1 is not a duration; a whole number and a unit (ms, s, m, h, d), such as \"90s\"",
        "shop.toml:7:2: oops: unknown key; known here: time, event, entities, money, dedupe, state, engine, output, reasons, queue, model, shadow, drift, source, sink, history, snapshot, admin, log, watchdog, labels, features, backtest",
        "f.toml:3:10: x: amout is no mapped field, feature, flag or built-in name; did you mean \"amount\"?",
    ];
    assert_eq!(found, expected.map(|line| format!("{at}/{line}")));
}
