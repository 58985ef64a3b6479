"""Train the model of benches/workload: 100 XGBoost trees of depth 6 over its 90 features.

    python3 -m venv VENV && VENV/bin/pip install -r tools/workload/requirements.txt
    target/release/loadgen --world workload --events 50000 --seed 7 --output OUT/events.jsonl --labels OUT/labels.jsonl
    target/release/cartguard replay --config benches/workload/config.toml --set model.path= \
        --input OUT/events.jsonl --output OUT/replay
    VENV/bin/python tools/workload/train.py OUT/replay OUT/labels.jsonl OUT/model
    target/release/cartguard model import --from OUT/model/model.json --feature-names OUT/model/names.txt \
        --golden OUT/model/golden.csv --provenance OUT/model/provenance.toml \
        --review-at X --decline-at Y --output benches/workload/model/workload/1

The thresholds stand in OUT/model/thresholds.txt. `tools/workload/make.sh VENV` runs all of it.

The model is there to be work, not to be right: a share of labels is flipped, so that the trees grow full, and the
weight that a leaf needs is chosen so that a tree has about 27 leaves, as in the measurements of the design notes.
The same events and versions give the same model.
"""

import json
import sys
from pathlib import Path

import numpy as np
import xgboost as xgb

TREES = 100
DEPTH = 6
LEAVES = 27.0
FLIPPED = 0.05
GOLDEN = 400
# Shares of the training events that come to alerts and to refusals.
ALERTS, REFUSALS = 0.005, 0.001
PARAMS = {
    "objective": "binary:logistic",
    "max_depth": DEPTH,
    "eta": 0.1,
    "tree_method": "hist",
    "nthread": 1,
    "seed": 7,
}


def read(replay, labels):
    names = json.loads((replay / "features.json").read_text())
    names = names["features"] if isinstance(names, dict) else names
    truth = {}
    with labels.open() as file:
        for line in file:
            label = json.loads(line)
            truth[label["event_id"]] = label["label"] == "fraud"
    rows, fraud = [], []
    with (replay / "decisions.jsonl").open() as file:
        for line in file:
            decision = json.loads(line)
            values = decision["features"]
            rows.append([np.nan if value is None else value for value in values])
            fraud.append(truth.get(decision["event_id"], False))
    return names, np.array(rows, dtype=np.float32), np.array(fraud, dtype=np.float32)


def leaves(booster):
    counts = [sum('"leaf"' in line for line in tree.splitlines()) for tree in booster.get_dump(dump_format="json")]
    return float(np.mean(counts))


def fit(data):
    """Full trees first; then the least weight of a leaf that brings them to the wanted size, by halving."""
    low, high = 0.0, 200.0
    best = None
    for _ in range(8):
        weight = (low + high) / 2
        booster = xgb.train({**PARAMS, "min_child_weight": weight}, data, TREES)
        found = leaves(booster)
        print(f"min_child_weight {weight:.3f}: {found:.2f} leaves a tree")
        if best is None or abs(found - LEAVES) < abs(best[0] - LEAVES):
            best = (found, weight, booster)
        low, high = (weight, high) if found > LEAVES else (low, weight)
    return best


def write_golden(path, names, rows, booster):
    data = xgb.DMatrix(rows, feature_names=names)
    margins, scores = booster.predict(data, output_margin=True), booster.predict(data)
    with path.open("w") as file:
        file.write(",".join(names) + ",margin,score\n")
        for row, margin, score in zip(rows, margins, scores):
            cells = ["" if np.isnan(value) else str(value) for value in row]
            file.write(",".join([*cells, str(margin), str(score)]) + "\n")


def main():
    replay, labels, output = (Path(argument) for argument in sys.argv[1:4])
    output.mkdir(parents=True, exist_ok=True)
    names, rows, fraud = read(replay, labels)
    print(f"{len(rows)} events, {len(names)} features, {int(fraud.sum())} of them fraud")
    rng = np.random.default_rng(7)
    flipped = rng.random(len(fraud)) < FLIPPED
    noisy = np.where(flipped, 1 - fraud, fraud)
    found, weight, booster = fit(xgb.DMatrix(rows, noisy, feature_names=names))
    scores = booster.predict(xgb.DMatrix(rows, feature_names=names))
    review, decline = (float(f"{np.quantile(scores, 1 - share):.3g}") for share in (ALERTS, REFUSALS))

    booster.save_model(output / "model.json")
    (output / "names.txt").write_text("\n".join(names) + "\n")
    write_golden(output / "golden.csv", names, rows[rng.choice(len(rows), GOLDEN, replace=False)], booster)
    (output / "provenance.toml").write_text(
        f'trainer = "xgboost"\nversion = "{xgb.__version__}"\n\n'
        f'[data]\nscript = "tools/workload/train.py"\nworld = "workload"\nevents = {len(rows)}\n'
        f"labels_flipped = {FLIPPED}\n\n"
        f"[metrics]\ntrees = {TREES}\ndepth = {DEPTH}\nleaves_a_tree = {found:.2f}\nmin_child_weight = {weight}\n"
    )
    (output / "thresholds.txt").write_text(f"--review-at {review} --decline-at {decline}\n")
    print(f"{found:.2f} leaves a tree, --review-at {review} --decline-at {decline}")


if __name__ == "__main__":
    main()
