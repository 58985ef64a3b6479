#!/usr/bin/env python3
"""Train in Python on cartguard's rows, and drop the model in.

    cartguard rows --config CONFIG --input HISTORY --output rows.parquet
    python3 docs/python/round_trip.py --rows rows.parquet --trainer xgboost --output models/mine/1
    cartguard model activate mine/1 --models models --config CONFIG

1. The rows are those that the engine computes when it scores: a column for each feature, f32, null where it is missing.
2. They are split by time. What is trained on was labelled before the last fifth begins: a label that came later is not known yet.
3. Thresholds are chosen on the last fifth: review for one event of a hundred, decline where 19 of 20 are fraud.
4. `cartguard model import` makes the folder and holds its own scores to the trainer's, row by row.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# The columns of `cartguard rows` that are no features.
ABOUT = ["event_id", "event_time", "event_amount", "event_currency", "label", "label_known_at"]
# Rows that the import compares.
GOLDEN = 2_000
REVIEW_SHARE = 0.01
DECLINE_PRECISION = 0.95
SEED = 1


def read(path):
    """Names of the features, their values (rows x features, NaN is missing), labels, and which rows are trained on."""
    table = pq.read_table(path)
    names = [name for name in table.column_names if name not in ABOUT]
    values = np.column_stack([table[name].to_numpy(zero_copy_only=False).astype(np.float32) for name in names])
    label = table["label"].to_numpy(zero_copy_only=False).astype(np.float64)
    time_ms = table["event_time"].cast(pa.int64()).to_numpy()
    known_ms = table["label_known_at"].cast(pa.int64()).to_numpy(zero_copy_only=False).astype(np.float64)
    is_labelled = ~np.isnan(label)
    if not is_labelled.any():
        sys.exit(f"{path}: no row has a label; give --labels or [labels] to cartguard rows")
    cut_ms = np.quantile(time_ms[is_labelled], 0.8)
    trained_on = is_labelled & (time_ms < cut_ms) & (known_ms <= cut_ms)
    held_out = is_labelled & (time_ms >= cut_ms)
    for what, rows in [("trained on", trained_on), ("held out", held_out)]:
        if len(np.unique(label[rows])) < 2:
            sys.exit(f"{path}: the {rows.sum()} rows that are {what} need fraud and others; take more history")
    return names, values, label, trained_on, held_out


def xgboost(names, values, label, folder):
    """The model's file, and a function from rows to (scores, margins)."""
    import xgboost as xgb

    settings = {
        "objective": "binary:logistic",
        "max_depth": 6,
        "eta": 0.1,
        "min_child_weight": 5,
        "seed": SEED,
    }
    train = xgb.DMatrix(values, label, feature_names=names)
    booster = xgb.train(settings, train, num_boost_round=100)
    path = folder / "model.ubj"
    booster.save_model(path)

    def predict(rows):
        rows = xgb.DMatrix(rows, feature_names=names)
        return booster.predict(rows), booster.predict(rows, output_margin=True)

    return path, predict


def lightgbm(names, values, label, folder):
    """The same."""
    import lightgbm as lgb

    settings = {"objective": "binary", "num_leaves": 31, "learning_rate": 0.1, "seed": SEED, "verbose": -1}
    # LightGBM takes no dots in names; cartguard takes the features by place, from names.txt.
    columns = [f"f{place}" for place in range(len(names))]
    train = lgb.Dataset(values, label, feature_name=columns)
    booster = lgb.train(settings, train, num_boost_round=100)
    path = folder / "model.txt"
    booster.save_model(path)
    return path, lambda rows: (booster.predict(rows), booster.predict(rows, raw_score=True))


def sklearn(names, values, label, folder):
    """The same; cartguard's logistic JSON is written here."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(values.astype(np.float64))

    def scaled(rows):
        # A missing value counts as the mean, as cartguard has it.
        return np.nan_to_num(scaler.transform(rows.astype(np.float64)), nan=0.0)

    model = LogisticRegression(max_iter=1_000).fit(scaled(values), label)
    document = {
        "format": "cartguard.logistic",
        "version": 1,
        "features": names,
        "weights": model.coef_[0].tolist(),
        "intercept": model.intercept_[0],
        "mean": np.nan_to_num(scaler.mean_).tolist(),
        "scale": np.nan_to_num(scaler.scale_, nan=1.0).tolist(),
    }
    path = folder / "model.json"
    path.write_text(json.dumps(document))
    return path, lambda rows: (model.predict_proba(scaled(rows))[:, 1], model.decision_function(scaled(rows)))


TRAINERS = {"xgboost": xgboost, "lightgbm": lightgbm, "sklearn": sklearn}


def thresholds(scores, label):
    """Review and decline; a score that is at a threshold is at or above it."""
    order = np.argsort(-scores, kind="stable")
    review_at = scores[order[max(1, int(len(scores) * REVIEW_SHARE)) - 1]]
    precision = np.cumsum(label[order]) / np.arange(1, len(order) + 1)
    exact = np.flatnonzero(precision >= DECLINE_PRECISION)
    decline_at = scores[order[exact[-1]]] if len(exact) else 1.0
    return min(review_at, decline_at), decline_at


def main():
    arguments = argparse.ArgumentParser(description="Train in Python on cartguard's rows, and drop the model in.")
    arguments.add_argument("--rows", required=True, type=Path, help="what cartguard rows wrote")
    arguments.add_argument("--trainer", required=True, choices=TRAINERS)
    arguments.add_argument("--output", required=True, type=Path, help="models/NAME/VERSION, made anew")
    arguments.add_argument("--cartguard", default="cartguard", help="the program")
    asked = arguments.parse_args()

    names, values, label, trained_on, held_out = read(asked.rows)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        path, predict = TRAINERS[asked.trainer](names, values[trained_on], label[trained_on], folder)
        scores, _ = predict(values[held_out])
        review_at, decline_at = thresholds(scores, label[held_out])

        rows = values[held_out][:GOLDEN]
        golden_scores, margins = predict(rows)
        golden = {name: rows[:, place] for place, name in enumerate(names)}
        pq.write_table(pa.table({**golden, "score": golden_scores, "margin": margins}), folder / "golden.parquet")
        (folder / "names.txt").write_text("".join(f"{name}\n" for name in names))
        subprocess.run(
            [asked.cartguard, "model", "import", "--from", path, "--output", asked.output]
            + ["--feature-names", folder / "names.txt", "--golden", folder / "golden.parquet"]
            + ["--review-at", repr(float(review_at)), "--decline-at", repr(float(decline_at))],
            check=True,
        )

    reviewed = scores >= review_at
    caught = reviewed & (label[held_out] == 1)
    print(
        f"{asked.output}: {asked.trainer} on {trained_on.sum()} rows; of {held_out.sum()} held out, "
        f"{reviewed.sum()} to review with {caught.sum()} of {int(label[held_out].sum())} frauds"
    )


if __name__ == "__main__":
    main()
