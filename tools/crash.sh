#!/usr/bin/env bash
# The crash rigs, long: tools/crash.sh [KILLS] [SEED], by default 10,000 kills of each. Files and standard output first, then streams.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARTGUARD_KILLS="${1:-10000}" CARTGUARD_CRASH_SEED="${2:-1}"
exec cargo test --release --workspace --locked --features cartguard/aws,loadgen/aws --test crash -- --nocapture
