#!/bin/sh
# Makes models/demo/VERSION: a synthetic shop, and what `cartguard train` learns of it.
#
#   cargo build --release --locked -p cartguard -p loadgen
#   tools/demo_model.sh VERSION
#
# Takes 2 GB in TMPDIR, 3 GB of memory and some minutes. The same versions make the same bytes.
set -eu
cd "$(dirname "$0")/.."
version=${1:?a version}
bin=${CARGO_TARGET_DIR:-target}/release
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# The demo's own seed is 1: it must not be the world that the model was trained on. 600,000 events a month, as in the demo.
"$bin/loadgen" --world shop --events 1600000 --days 80 --seed 20261124 --output "$out/events.jsonl" --labels "$out/labels.jsonl"
# A genuine order is known to be so after 30 days, nearly every fraud after 45: with a shorter gap fraud would be known too often.
"$bin/cartguard" train --input "$out/events.jsonl" --labels "$out/labels.jsonl" --algorithm boosted --depth 5 --gap 45d \
    --output "models/demo/$version"
