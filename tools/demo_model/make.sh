#!/bin/sh
# Makes models/demo/VERSION: a synthetic shop, its features, training, import.
#
#   cargo build --release --locked -p cartguard -p loadgen
#   python3 -m venv VENV && VENV/bin/pip install -r tools/demo_model/requirements.txt
#   tools/demo_model/make.sh VENV VERSION
#
# EVENTS, DAYS and SEED may be set. Takes about 3 GB in TMPDIR and some minutes.
set -eu
cd "$(dirname "$0")/../.."
venv=${1:?a Python environment} version=${2:?a version}
bin=${CARGO_TARGET_DIR:-target}/release
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# The demo's own seed is 1: it must not be the world that the model was trained on. 600,000 events a month,
# as in the demo.
"$bin/loadgen" --world shop --events "${EVENTS:-400000}" --days "${DAYS:-20}" --seed "${SEED:-20261124}" \
    --output "$out/events.jsonl" --labels "$out/labels.jsonl"
"$bin/cartguard" replay --set output.features_as=array --set model.path= \
    --input "$out/events.jsonl" --output "$out/replay"
"$venv/bin/python" tools/demo_model/train.py "$out/replay" "$out/labels.jsonl" "$out/model"
# shellcheck disable=SC2046 # two flags
"$bin/cartguard" model import --from "$out/model/model.json" --feature-names "$out/model/names.txt" \
    --golden "$out/model/golden.csv" --provenance "$out/model/provenance.toml" $(cat "$out/model/thresholds.txt") \
    --output "models/demo/$version"
