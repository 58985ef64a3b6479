#!/usr/bin/env bash
# Tests of the tests: breaks one rule of the history at a time in a copy of the tree, and shows which test finds it out.
# tools/mutate.sh [NAME...]: all of them, or those named. Takes some minutes each the first time. Ends with 1 where a broken rule is not
# found out, or where a rule is no longer where this list says. Nothing of the tree itself is touched.
set -euo pipefail
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-$PWD/target}"
copy="$(mktemp -d)"
trap 'rm -rf "$copy"' EXIT
git ls-files -z | tar --null -T - -c | tar -C "$copy" -x
export CARGO_TARGET_DIR="$target/mutants"
# What others made of the dependencies is good here too.
if [ ! -d "$CARGO_TARGET_DIR" ] && [ -d "$target/release" ]; then
    mkdir -p "$CARGO_TARGET_DIR"
    cp -a "$target/release" "$CARGO_TARGET_DIR/release"
fi
export CARTGUARD_SIM_SEEDS="${CARTGUARD_SIM_SEEDS:-200}"
features="--features cartguard/aws,loadgen/aws"

# name | file | what of it (Perl) | what it becomes | test: target and filter
mutations() {
    cat <<'LIST'
release before bind | crates/recovery/src/history.rs | self\.segments\.append\(bound\.batch, &self\.record\) | Ok::<(), Trouble>(()) | --test stories every_story_ends_well
snapshot before delivery | crates/recovery/src/writer.rs | delivered\.get\(\) >= batch | true | --test stories every_story_ends_well
other outputs are sent | crates/recovery/src/retell.rs | hash_of\(outputs\) == bound\.outputs | true | --test recovery records_that_are_other_ones
a switch is not bound | crates/recovery/src/history.rs | changes\.splice\(\.\.0, versions::changes\(&self\.standing\.versions, &self\.versions\)\); | NOTHING | --test stories every_story_ends_well
the tail is not done again | crates/recovery/src/processor.rs | in history\.take_tail\(\) | in history.take_tail().into_iter().take(0) | --test stories every_story_ends_well
a segment's name is not synced | crates/io/src/segments.rs | self\.sync_names\(\)\?;\n        Ok\(Current | Ok(Current | --test stories every_story_ends_well
a record is not synced | crates/io/src/segments.rs | current\.file\.sync\(\)\.map_err | Ok::<(), std::io::Error>(()).map_err | --test stories every_story_ends_well
what is read is trusted | crates/io/src/segments.rs | file\.write_all_at\(whole, 0\)\.map_err | Ok::<(), io::Error>(()).map_err | -p cartguard-io --lib segments
a snapshot's name is not synced | crates/io/src/store.rs | cannot be given its name"\)\.because\(e\)\)\?;\n        self\.sync\(\) | cannot be given its name").because(e)) | --test stories every_story_ends_well
a newer format is torn | crates/history/src/order_log.rs | LogFault::Newer \{ at, format \} | LogFault::Torn(at) | -p cartguard-history --lib order_log
a pack of a kept snapshot goes | crates/recovery/src/retention.rs | !stays\.contains\(pack\) && | NOTHING | -p cartguard-recovery --lib catalog
any record follows any other | crates/history/src/order_log.rs | if chain != self\.chain | if false | -p cartguard-history --lib order_log
a child does not wait | crates/history/src/partitions.rs | if !parent\.is_finished | if false | -p cartguard-history --lib partitions
lineage opens too early | crates/history/src/lineage.rs | standing\(name\) == Standing::Unfinished\) | false && standing(name) == Standing::Unfinished) | -p cartguard-history --lib lineage
a gone shard is passed by | crates/history/src/lineage.rs | !partition\.is_finished && !self\.shards\.contains_key\(name\) | false | -p cartguard-history --lib lineage
numbers are ordered as text | crates/history/src/place.rs | self\.0\.len\(\)\.cmp\(&other\.0\.len\(\)\)\.then_with\(\|\| self\.0\.cmp\(&other\.0\)\) | self.0.cmp(&other.0) | -p cartguard-history --lib place
a gap is forgotten | crates/history/src/partitions.rs | Some\(before\.clone\(\)\.map_or\(nothing, Beyond::GoesOnAt\)\) | { let _ = (before, nothing); None } | --test source an_accepted_gap_is_not_asked_for_again
quiet is not written down | crates/shards/src/source/shards.rs | known\.is_none_or\(\|ms\| ms < at_ms - QUIET_TOLD_EVERY_MS\) | known.is_some_and(|ms| ms > at_ms + QUIET_TOLD_EVERY_MS) | --test source a_quiet_shard_whose_last_record
a shard ends before its last record | crates/shards/src/source/shards.rs | queue\.last == Some\(Last::End\) && queue\.is_empty\(\) | queue.last == Some(Last::End) | --test stories every_story_ends_well
a loss counts at once | crates/shards/src/source/shards.rs | \*listing < self\.listings | true | --test stories every_story_ends_well
within an aggregate it begins anew | crates/shards/src/queue.rs | \*number == open\.number && open\.sub <= \*sub | *number == open.number && open.sub < *sub | --test source aggregates_and_packed_payloads
what failed is acknowledged | crates/shards/src/lane.rs | if is_done \{ self\.acknowledge | if is_done || true { self.acknowledge | -p cartguard-shards --lib lane
the frontier passes what waits | crates/shards/src/lane.rs | self\.slots\.front\(\)\.map_or\(self\.sealed, \|slot\| slot\.batch\) | self.sealed | -p cartguard-shards --lib lane
LIST
}

field() { awk -F' [|] ' -v n="$2" '{ print $n == "NOTHING" ? "" : $n }' <<< "$1"; }

failed=0
printf '%-36s %s\n' "broken rule" "found out by"
while IFS= read -r line; do
    name="$(field "$line" 1)" file="$(field "$line" 2)" from="$(field "$line" 3)" to="$(field "$line" 4)" test="$(field "$line" 5)"
    if [ "$#" -gt 0 ] && ! printf '%s\n' "$@" | grep -qxF "$name"; then continue; fi
    cp "$file" "$copy/$file"
    FROM="$from" TO="$to" perl -0pi -e 's/$ENV{FROM}/$ENV{TO}/' "$copy/$file"
    if cmp -s "$file" "$copy/$file"; then
        printf '%-36s %s\n' "$name" "NOT THERE: $file no longer has it"
        failed=1
        continue
    fi
    # shellcheck disable=SC2086 # the words of a test's address
    case "$test" in
    -p*) command="cargo test --release --locked $test" ;;
    *) command="cargo test --release --locked --workspace $features $test" ;;
    esac
    if ! (cd "$copy" && $command --no-run > mutant.log 2>&1); then
        printf '%-36s %s\n' "$name" "DOES NOT COMPILE"
        tail -20 "$copy/mutant.log"
        failed=1
    elif (cd "$copy" && $command > mutant.log 2>&1); then
        printf '%-36s %s\n' "$name" "NOBODY ($test)"
        failed=1
    else
        found="$(grep -E '^test [^ ]+ ... FAILED' "$copy/mutant.log" | awk '{ print $2 }' | paste -sd' ')"
        printf '%-36s %s\n' "$name" "${found:-$test (it ended otherwise)}"
    fi
    cp "$file" "$copy/$file"
done < <(mutations)
exit "$failed"
