"""Train a fraud model on what a replay wrote: the demo's, or the first one of a shop's own.

    python3 -m venv VENV && VENV/bin/pip install -r tools/demo_model/requirements.txt
    VENV/bin/python tools/demo_model/train.py REPLAY LABELS OUT

REPLAY is a folder of `cartguard replay --set output.features_as=array` (decisions.jsonl, features.json), LABELS the
JSON lines of loadgen (`event_id`, `label`). OUT gets model.json, names.txt, golden.csv (rows with the trainer's own
margin and score), provenance.toml and thresholds.txt, all of which `cartguard model import` takes; make.sh runs the
whole.

Events are cut by time into training, validation and test, with a gap before each of the last two: the windows of
neighbouring events overlap, and an attack that lies on a cut would stand on both sides. The number of trees is fixed;
the thresholds are chosen on validation (review: so many alerts as people can look at; decline: so few mistakes as a
shop can bear); the metrics are those of the test part, which decides nothing.
"""

import json
import sys
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import xgboost as xgb

TREES = 150
PARAMS = {
    "objective": "binary:logistic",
    "max_depth": 5,
    "eta": 0.1,
    "min_child_weight": 5,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
    "lambda": 2.0,
    "tree_method": "hist",
    "nthread": 1,  # the same sums in the same order, whatever the machine
    "seed": 1,
}
# Shares of the time that is covered: training ends, validation ends.
TRAIN_UNTIL, VALIDATE_UNTIL = 0.6, 0.8
GAP_MS = 24 * 3_600_000
ALERT_BUDGET = 0.01
DECLINE_PRECISION = 0.98
# Fewer validation events than this above a threshold say nothing about its precision.
DECLINE_EVENTS_MIN = 100
GOLDEN = 500


def read(replay, labels):
    """Names; features, fraud and time (ms) of every event that has a label; the kinds of fraud."""
    names = json.loads((replay / "features.json").read_text())
    names = names["features"] if isinstance(names, dict) else names
    truth = {}
    with labels.open() as file:
        for line in file:
            label = json.loads(line)
            truth[label["event_id"]] = (label["label"] == "fraud", label["kind"])
    with (replay / "decisions.jsonl").open() as file:
        count = sum(1 for _ in file)
    rows = np.empty((count, len(names)), dtype=np.float32)
    times, fraud, kinds = np.empty(count, dtype=np.int64), np.zeros(count, dtype=bool), []
    kept = 0
    with (replay / "decisions.jsonl").open() as file:
        for line in file:
            decision = json.loads(line)
            if decision["event_id"] not in truth:
                continue
            # None becomes NaN: missing.
            rows[kept] = np.array(decision["features"], dtype=np.float64)
            times[kept] = datetime.fromisoformat(decision["event_time"]).timestamp() * 1000
            fraud[kept], kind = truth[decision["event_id"]]
            kinds.append(kind)
            kept += 1
    return names, rows[:kept], fraud[:kept], times[:kept], np.array(kinds)


def split(times):
    """Three masks; the gaps belong to none."""
    first, last = times.min(), times.max()
    train_end = first + (last - first) * TRAIN_UNTIL
    validate_end = first + (last - first) * VALIDATE_UNTIL
    return (
        times < train_end,
        (times >= train_end + GAP_MS) & (times < validate_end),
        times >= validate_end + GAP_MS,
    )


def auc(scores, fraud):
    """Area under the ROC curve, ties counted half."""
    order = np.argsort(scores, kind="stable")
    values, start, counts = np.unique(scores[order], return_index=True, return_counts=True)
    ranks = np.repeat(start + (counts + 1) / 2, counts)
    positive = fraud[order]
    good, bad = positive.sum(), (~positive).sum()
    return float((ranks[positive].sum() - good * (good + 1) / 2) / (good * bad))


def average_precision(scores, fraud):
    order = np.argsort(-scores, kind="stable")
    hits = fraud[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())


def thresholds(scores, fraud):
    """Review by the budget of alerts, decline by precision; f32 in the shortest text."""
    review = np.quantile(scores, 1 - ALERT_BUDGET)
    order = np.argsort(-scores, kind="stable")
    precision = np.cumsum(fraud[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(precision >= DECLINE_PRECISION)
    good = good[good >= DECLINE_EVENTS_MIN]
    decline = scores[order[good[-1]]] if len(good) else 1.0
    review, decline = (float(f"{value:.3g}") for value in (review, max(decline, review)))
    return review, max(review, decline)


def at(scores, fraud, threshold):
    alerts = scores >= np.float32(threshold)
    caught = int((alerts & fraud).sum())
    return {
        "share_of_events": float(f"{alerts.mean():.4g}"),
        "precision": float(f"{caught / max(1, alerts.sum()):.4g}"),
        "recall": float(f"{caught / max(1, fraud.sum()):.4g}"),
    }


def write_golden(path, names, rows, booster):
    data = xgb.DMatrix(rows, feature_names=names)
    margins, scores = booster.predict(data, output_margin=True), booster.predict(data)
    with path.open("w") as file:
        file.write(",".join(names) + ",margin,score\n")
        for row, margin, score in zip(rows, margins, scores):
            cells = ["" if np.isnan(value) else str(value) for value in row]
            file.write(",".join([*cells, str(margin), str(score)]) + "\n")


def toml_table(name, values):
    return f"\n[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def main():
    replay, labels, output = (Path(argument) for argument in sys.argv[1:4])
    output.mkdir(parents=True, exist_ok=True)
    names, rows, fraud, times, kinds = read(replay, labels)
    train, validate, test = split(times)
    data = xgb.DMatrix(rows[train], fraud[train].astype(np.float32), feature_names=names)
    booster = xgb.train(PARAMS, data, TREES)

    scores = booster.predict(xgb.DMatrix(rows, feature_names=names))
    review, decline = thresholds(scores[validate], fraud[validate])
    tested, truth = scores[test], fraud[test]
    recalls = {}
    for kind in sorted(set(kinds[test & fraud])):
        of_kind = test & fraud & (kinds == kind)
        recalls[str(kind)] = float(f"{(scores[of_kind] >= np.float32(review)).mean():.4g}")
    day = lambda ms: str(datetime.fromtimestamp(ms / 1000, timezone.utc).date())
    facts = {
        "script": "tools/demo_model/train.py",
        "events": len(rows),
        "from": day(times.min()),
        "until": day(times.max()),
        "fraud_share": float(f"{fraud.mean():.4g}"),
        "train_events": int(train.sum()),
        "validation_events": int(validate.sum()),
        "test_events": int(test.sum()),
        "gap_hours": GAP_MS // 3_600_000,
        "features": len(names),
    }
    metrics = {
        "auc": float(f"{auc(tested, truth):.5g}"),
        "average_precision": float(f"{average_precision(tested, truth):.4g}"),
        **{f"review_{key}": value for key, value in at(tested, truth, review).items()},
        **{f"decline_{key}": value for key, value in at(tested, truth, decline).items()},
        **{f"review_recall_{kind}": value for kind, value in recalls.items()},
    }

    booster.save_model(output / "model.json")
    (output / "names.txt").write_text("\n".join(names) + "\n")
    chosen = np.random.default_rng(1).choice(np.flatnonzero(test), GOLDEN - GOLDEN // 5, replace=False)
    alerts = np.flatnonzero(test & (scores >= np.float32(review)))[: GOLDEN // 5]
    write_golden(output / "golden.csv", names, rows[np.concatenate([chosen, alerts])], booster)
    (output / "thresholds.txt").write_text(f"--review-at {review} --decline-at {decline}\n")
    (output / "provenance.toml").write_text(
        f'trainer = "xgboost"\nversion = "{xgb.__version__}"\n'
        + toml_table("data", facts)
        + toml_table("metrics", metrics)
    )
    for key, value in {**facts, **metrics, "review_at": review, "decline_at": decline}.items():
        print(f"{key}: {value}")
    gain = booster.get_score(importance_type="total_gain")
    print("features by total gain:", ", ".join(sorted(gain, key=gain.get, reverse=True)[:15]))


if __name__ == "__main__":
    main()
