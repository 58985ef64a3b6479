#!/bin/sh
# Makes benches/workload/model/workload/VERSION anew: events, features, training, import.
#
#   tools/workload/make.sh VENV VERSION
#
# VENV is a Python environment with tools/workload/requirements.txt.
set -eu
cd "$(dirname "$0")/../.."
venv=${1:?a Python environment} version=${2:?a version}
bin=${CARGO_TARGET_DIR:-target}/release
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

"$bin/loadgen" --world workload --events 50000 --seed 7 --output "$out/events.jsonl" --labels "$out/labels.jsonl"
"$bin/cartguard" replay --config benches/workload/config.toml --set model.path= \
    --input "$out/events.jsonl" --output "$out/replay"
"$venv/bin/python" tools/workload/train.py "$out/replay" "$out/labels.jsonl" "$out/model"
# shellcheck disable=SC2046 # two flags
"$bin/cartguard" model import --from "$out/model/model.json" --feature-names "$out/model/names.txt" \
    --golden "$out/model/golden.csv" --provenance "$out/model/provenance.toml" $(cat "$out/model/thresholds.txt") \
    --output "benches/workload/model/workload/$version"
