#!/usr/bin/env bash
# A soak on one machine: tools/soak.sh [SECONDS] [RATE], by default 600 s at 1,000 events/s through a local Kinesis, with two reshards. A
# second is a day of event time and idle keys go after 100 of them, so that memory has to be flat from some 170 s on. It prints the
# process's resident memory as it goes and what of it the state is (by the formula, and the pages and tables that hold it), what its
# status says at the end, what came twice, and whether all bytes agree.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${1:-600}" rate="${2:-1000}"
cargo build --release --locked --workspace --features cartguard/aws,loadgen/aws
bin="${CARGO_TARGET_DIR:-target}/release"
work="$(mktemp -d)"
pids=()
clean_up() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap clean_up EXIT

"$bin/local-kinesis" 0 shop-events:2 shop-decisions:2 shop-alerts:1 > "$work/url" &
pids+=($!)
until url="$(head -1 "$work/url")" && [ -n "$url" ]; do sleep 0.1; done

export AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local
export CARTGUARD__SOURCE__ENDPOINT_URL="$url" CARTGUARD__SINK__ENDPOINT_URL="$url" CARTGUARD__SINK__REJECTS_FILE="$work/rejects.jsonl"
export CARTGUARD__HISTORY__FOLDER="$work/data" CARTGUARD__SNAPSHOT__EVERY=60s CARTGUARD__OUTPUT__FEATURES=none
export CARTGUARD__MODEL__PATH="$PWD/models/demo/2" CARTGUARD__STATE__FORGET_AFTER=100d CARTGUARD__STATE__SWEEP_EVERY=65536
"$bin/cartguard" run --config config/kinesis.toml 2> "$work/log" &
cartguard=$!
pids+=("$cartguard")
events=$((seconds * rate))
"$bin/loadgen" --to kinesis --stream shop-events --endpoint-url "$url" --events "$events" --rate "$rate" \
    --start 2020-01-01 --days "$seconds" --customers 20000 --sends "$work/sends.jsonl" > "$work/load" 2>&1 &
load=$!
pids+=("$load")

began=$SECONDS reshards=0
while kill -0 "$load" 2>/dev/null; do
    sleep 10
    passed=$((SECONDS - began))
    state="$(sed -n '/"log":"status"/h; ${x;p}' "$work/log" | sed -n 's/.*"state":{"bytes":\([0-9]*\),.*"resident_bytes":\([0-9]*\).*/\1 \2/p')"
    read -r formula pages <<< "${state:-0 0}"
    rss="$(awk '/VmRSS/ {print $2}' "/proc/$cartguard/status")"
    echo "$passed s: resident $((rss / 1024)) MiB; state $((formula >> 20)) MiB by the formula, $((pages >> 20)) MiB in pages and tables"
    if [ "$reshards" -lt 2 ] && [ "$passed" -ge $((seconds * (reshards + 1) / 3)) ]; then
        "$bin/local-kinesis" split "$url" shop-events "shardId-00000000000$reshards"
        reshards=$((reshards + 1))
        echo "$passed s: reshard $reshards"
    fi
done
wait "$load"
cat "$work/load"
sleep 5
"$bin/cartguard" status --config config/kinesis.toml
kill -TERM "$cartguard"
wait "$cartguard"
echo "reshards: $reshards; sent: $(wc -l < "$work/sends.jsonl") records, $(grep -o '"event_id":"[^"]*"' "$work/sends.jsonl" | sort -u | wc -l) events"
"$bin/local-kinesis" read "$url" shop-decisions | "$bin/cartguard" dedupe > "$work/decisions.jsonl"
echo "rejects: $(wc -l < "$work/rejects.jsonl")"
"$bin/cartguard" verify --config config/kinesis.toml
