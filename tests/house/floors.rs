//! Who may know whom: crates, modules of the engine, modules of the service.

/// Crates, and which of ours each may use; the second list is for its tests and benches.
pub(crate) const CRATES: &[(&str, &[&str], &[&str])] = &[
    (
        "cartguard",
        &[
            "cartguard-engine",
            "cartguard-forest",
            "cartguard-history",
            "cartguard-io",
            "cartguard-kinesis",
            "cartguard-recovery",
            "cartguard-train",
            "loadgen",
        ],
        &[],
    ),
    ("cartguard-engine", &["cartguard-forest"], &["cartguard-oracle"]),
    ("cartguard-forest", &[], &[]),
    ("cartguard-history", &["cartguard-engine"], &[]),
    ("cartguard-io", &["cartguard-engine", "cartguard-history"], &[]),
    (
        "cartguard-kinesis",
        &["cartguard-engine", "cartguard-history", "cartguard-io", "cartguard-shards"],
        &[],
    ),
    (
        "cartguard-kinesis-tests",
        &["cartguard-engine", "cartguard-history", "cartguard-io", "cartguard-kinesis", "cartguard-shards"],
        &["loadgen"],
    ),
    ("cartguard-oracle", &[], &[]),
    ("cartguard-recovery", &["cartguard-engine", "cartguard-history", "cartguard-io"], &[]),
    ("cartguard-shards", &["cartguard-engine", "cartguard-history", "cartguard-io"], &[]),
    (
        "cartguard-sim",
        &[
            "cartguard-engine",
            "cartguard-forest",
            "cartguard-history",
            "cartguard-io",
            "cartguard-recovery",
            "cartguard-shards",
        ],
        &[],
    ),
    ("cartguard-train", &["cartguard-forest"], &[]),
    ("loadgen", &[], &[]),
];

/// What the pure crates must not depend on: whatever reads the world, or takes long to build.
pub(crate) const PURE: &[&str] = &["cartguard-engine", "cartguard-forest"];
pub(crate) const NOT_PURE: &[&str] = &[
    "anyhow",
    "arrow-array",
    "arrow-buffer",
    "arrow-schema",
    "clap",
    "crossbeam-channel",
    "csv",
    "flate2",
    "indicatif",
    "jiff",
    "mimalloc",
    "nix",
    "parquet",
    "rand",
    "rand_chacha",
    "ratatui",
    "rustix",
    "signal-hook",
    "tokio",
    "zstd",
];

/// Modules of the engine, from the ground up, and which of their neighbours each may use.
pub(crate) const ENGINE: &[(&str, &[&str])] = &[
    // The vocabulary.
    ("limits", &[]),
    ("reject", &[]),
    ("record", &["reject"]),
    ("event", &["limits"]),
    ("schema", &["limits", "currency"]),
    ("currency", &["limits", "reject", "schema"]),
    ("document", &["limits"]),
    // From bytes to an event.
    ("decode", &["currency", "event", "limits", "record", "reject", "schema"]),
    // What is computed: the plan. `window::layout` says how many bytes of a page a plan's entries take.
    ("features", &["currency", "decode", "document", "event", "limits", "schema", "window"]),
    // What is remembered.
    ("window", &["event", "features", "limits"]),
    ("state", &["event", "features", "limits", "schema", "window"]),
    // The store by itself, for a bench.
    ("measured", &["features", "state", "window"]),
    // What comes of it.
    ("decide", &["limits"]),
    ("encode", &["currency", "decide", "event", "features", "limits", "record", "reject", "schema"]),
    // The story.
    (
        "batch",
        &[
            "currency", "decide", "decode", "encode", "event", "features", "limits", "record", "reject",
            "schema", "state", "window",
        ],
    ),
];

/// Modules of the service. Commands are peers; `cli` hands each of them its configuration and its voice.
pub(crate) const SERVICE: &[(&str, &[&str])] = &[
    ("exit", &[]),
    ("usage", &[]),
    ("memory", &[]),
    ("panics", &["shadow"]),
    ("signals", &["exit"]),
    ("output", &["exit", "shadow"]),
    ("deployment", &[]),
    ("drift", &[]),
    ("shadow", &["drift"]),
    ("config", &["deployment"]),
    ("synthetic", &["config"]),
    ("vitals", &["shadow"]),
    ("pipeline", &["config", "shadow", "vitals"]),
    ("adapters", &["cli", "config", "output", "signals", "synthetic"]),
    ("summary", &["pipeline", "usage"]),
    ("model", &["cli", "config", "deployment", "drift", "exit", "pipeline", "shadow", "vitals", "watch"]),
    ("engine", &["config", "deployment", "model", "shadow"]),
    ("check", &["cli", "config", "engine", "exit", "model"]),
    ("dedupe", &["cli", "exit"]),
    ("list", &["cli", "config", "exit"]),
    (
        "run",
        &[
            "adapters", "cli", "config", "engine", "exit", "memory", "model", "overlap", "panics",
            "pipeline", "shadow", "signals", "summary", "vitals", "watch",
        ],
    ),
    ("overlap", &["config"]),
    ("watch", &["cli", "config", "exit", "summary", "vitals"]),
    // `run` has the flag --workers, for all commands that start an engine.
    (
        "replay",
        &[
            "adapters", "cli", "config", "engine", "exit", "output", "pipeline", "run", "shadow", "signals",
            "summary", "vitals",
        ],
    ),
    ("rebuild", &["adapters", "cli", "config", "engine", "exit", "pipeline", "run", "signals", "vitals"]),
    ("snapshot", &["cli", "config", "exit"]),
    ("status", &["cli", "exit", "watch"]),
    ("verify", &["adapters", "cli", "config", "engine", "exit"]),
    ("training", &["adapters", "cli", "config", "drift", "engine", "exit", "model", "signals"]),
    ("train", &["cli", "config", "exit", "model", "run", "signals", "training"]),
    // `train` has the flags of how a model is looked at.
    ("evaluate", &["cli", "config", "engine", "exit", "model", "run", "signals", "train", "training"]),
    ("backtest", &["cli", "config", "exit", "output", "run", "signals", "train", "training"]),
    ("rows", &["cli", "config", "exit", "run", "signals", "training"]),
    ("bench", &["cli", "config", "engine", "exit", "memory", "model", "run", "shadow", "synthetic", "usage"]),
    (
        "demo",
        &[
            "cli",
            "config",
            "engine",
            "exit",
            "memory",
            "pipeline",
            "run",
            "signals",
            "summary",
            "synthetic",
            "vitals",
        ],
    ),
    (
        "cli",
        &[
            "backtest", "bench", "check", "config", "dedupe", "demo", "evaluate", "exit", "list", "model",
            "rebuild", "replay", "rows", "run", "snapshot", "status", "train", "verify",
        ],
    ),
    ("main", &["cli", "exit", "panics"]),
];
