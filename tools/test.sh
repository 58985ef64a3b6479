#!/usr/bin/env bash
# All checks and tests. Needs Rust (with rustfmt and clippy), a C compiler, and Python for one test; installs nothing outside target/.
# One profile and one target folder throughout, so that dependencies are compiled once.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never

say() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }

for part in rustfmt clippy; do
  cargo "${part/rustfmt/fmt}" --version >/dev/null 2>&1 || rustup component add "$part"
done

say 'format'
cargo fmt --all -- --check

# With the adapters: the tests of streams run the binary that has them.
adapters=(--features cartguard/aws,loadgen/aws)

# Without them too, as `cargo build` has it, but only checked: other features of serde and its kin make every crate that uses them compile again, some
# 500 CPU seconds.
say 'lints'
cargo clippy --release --locked -- -D warnings
cargo clippy --release --workspace --all-targets --locked "${adapters[@]}" -- -D warnings

say 'python'
# For tests/round_trip.rs, which skips where CARTGUARD_PYTHON is not set.
python="${CARGO_TARGET_DIR:-target}/python"
if cmp -s docs/python/requirements.txt "$python/installed" || {
  python3 -m venv --clear "$python" &&
    "$python/bin/pip" install --quiet --disable-pip-version-check --requirement docs/python/requirements.txt &&
    cp docs/python/requirements.txt "$python/installed"
}; then
  CARTGUARD_PYTHON="$(cd "$python/bin" && pwd)/python3"
  export CARTGUARD_PYTHON
else
  echo 'SKIPPED: the round trip with Python, for want of what docs/python/requirements.txt names'
fi

say 'tests'
cargo test --release --workspace --locked "${adapters[@]}"

say 'done'
