#!/usr/bin/env bash
# Coverage-guided fuzzing: tools/fuzz.sh TARGET [options of libFuzzer], such as -max_total_time=60. Targets: event, model, config.
# Needs a C++ compiler and no nightly: the flags are what cargo-fuzz gives, but for the address sanitizer, which only nightly
# has. New inputs go to fuzz/corpus/TARGET, what fails to fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
target=${1:?event, model or config}
shift
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
# With a target named, the flags do not reach build scripts.
cargo build --release --locked --target "$host" --bin "$target"
mkdir -p "corpus/$target" artifacts
"${CARGO_TARGET_DIR:-target}/$host/release/$target" -max_len=16384 -rss_limit_mb=2048 -artifact_prefix="artifacts/$target-" \
  "$@" "corpus/$target" "seeds/$target"
