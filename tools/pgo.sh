#!/usr/bin/env bash
# The fastest binary: `dist`, guided by a profile of the workload (benches/workload) and of the demo's shop.
# tools/pgo.sh [FEATURES]: leaves it at target/pgo/cartguard. Needs an llvm-profdata no older than rustc's LLVM: `rustup component add
# llvm-tools`, or LLVM_PROFDATA=... of a package (`rustc -vV` tells the version).
set -euo pipefail
flags="${RUSTFLAGS:-}"
unset RUSTFLAGS
cd "$(dirname "$0")/.."
features="${1:-}"
target="$(rustc -vV | sed -n 's/^host: //p')"
root="$(realpath -m "${CARGO_TARGET_DIR:-target}")"
work="$root/pgo"
profdata="${LLVM_PROFDATA:-$(find "$(rustc --print sysroot)" -name llvm-profdata | head -1)}"
if [ -z "$profdata" ] || ! "$profdata" --version > /dev/null; then
    echo "pgo: no llvm-profdata; rustup component add llvm-tools, or set LLVM_PROFDATA" >&2
    exit 1
fi
rm -rf "$work"
mkdir -p "$work/raw"

unset LLVM_PROFILE_FILE

# With --target the flags are for the program alone, not for build scripts.
build() {
    RUSTFLAGS="${flags:-} $1" CARGO_TARGET_DIR="$work/$2" cargo build --locked --profile dist --target "$target" --features "$features"
}
build "-Cprofile-generate=$work/raw" instrumented
instrumented="$work/instrumented/$target/dist/cartguard"

cargo run --release --locked -p loadgen -- --world workload --events 300000 --seed 7 --output "$work/workload.jsonl"
replay() {
    "$1" replay --config benches/workload/config.toml --input "$work/workload.jsonl" --output "$work/$2" --force "${@:3}" > "$work/$2.log"
}
replay "$instrumented" discarded --workers 2 --discard
replay "$instrumented" instrumented-lines --workers 1
"$instrumented" demo --rate max --events 100000 > "$work/demo.log"

"$profdata" merge -o "$work/merged.profdata" "$work/raw"
build "-Cprofile-use=$work/merged.profdata" guided
# Another binary, the same bytes.
replay "$work/guided/$target/dist/cartguard" guided-lines --workers 2
cmp "$work/instrumented-lines/decisions.jsonl" "$work/guided-lines/decisions.jsonl"
cp "$work/guided/$target/dist/cartguard" "$work/cartguard"
echo "$work/cartguard"
