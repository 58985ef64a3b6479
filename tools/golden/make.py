"""Make the golden models and rows that hold the forest scorer to the trainers' own bits.

    python -m venv VENV && VENV/bin/pip install -r tools/golden/requirements.txt
    VENV/bin/python tools/golden/make.py tests/golden

Older trainers write older files: install requirements-old.txt apart (and once more with xgboost 2.1.4 and lightgbm
4.5.0) and name the cases, to keep the folder small:

    OLD/bin/python tools/golden/make.py tests/golden logistic base squared one-hot partition dart pruned nan zero \
        categorical rf

Models carry the trainer's version in their name, so each run adds to the folder and removes nothing.

For each case: the model file (XGBoost: JSON, and UBJSON where the version writes it) and NAME.rows.jsonl, a row a
line: `x` (f32), `margin` and `score` as hexadecimal bits of the trainer's type, and for some rows `contribs` with
the bias last, as numbers. Rows lie on thresholds, on the next float on either side, on missing values, zeros of
both signs, infinities and the edge of LightGBM's zero.

For the cases of WIDE also NAME.wide.jsonl: rows of f64 (`x` as hexadecimal bits) on LightGBM's own thresholds, which
are f64, on the next f64 on either side and anywhere between the two f32 around them.
"""

import json
import struct
import sys
from pathlib import Path

import lightgbm as lgb
import numpy as np
import xgboost as xgb

SEED = 20261124
ROWS = 120
CONTRIBS = 16
WIDE = ["nan", "zero", "no-missing", "leaves", "categorical"]


ONLY = set(sys.argv[2:])


def bits32(value):
    return f"{struct.unpack('<I', struct.pack('<f', np.float32(value)))[0]:08x}"


def bits64(value):
    return f"{struct.unpack('<Q', struct.pack('<d', float(value)))[0]:016x}"


def training_rows(rng, rows, features, missing, zeros):
    x = rng.normal(size=(rows, features)).astype(np.float32)
    x[:, 1] = np.round(x[:, 1] * 3)
    x[:, 2] = np.exp(x[:, 2] * 2)
    y = x[:, 0] + 0.5 * x[:, 1] * (x[:, 3] > 0) + np.log(x[:, 2]) * 0.3 + rng.normal(size=rows) * 0.5
    if zeros:
        x[rng.random(x.shape) < zeros] = 0
    if missing:
        x[rng.random(x.shape) < missing] = np.nan
    return x, (y > 0.4).astype(np.float32), y.astype(np.float32)


def edge_rows(rng, base, thresholds, infinite):
    """Rows on and beside thresholds, then rows of odd values, then plain ones."""
    rows = []
    order = rng.permutation(len(thresholds))
    for at in order[: ROWS // 5]:
        feature, threshold = thresholds[at]
        nearest = np.float32(threshold)
        for value in (nearest, np.nextafter(nearest, np.float32(np.inf)), np.nextafter(nearest, np.float32(-np.inf))):
            row = base[rng.integers(len(base))].copy()
            row[feature] = value
            rows.append(row)
    odd = [np.nan, 0.0, -0.0, 1e-35, -1e-35, np.nextafter(np.float32(1e-35), np.float32(1)), 1e-45, 3.4e38, -3.4e38]
    if infinite:
        odd += [np.inf, -np.inf]
    for value in odd:
        rows.append(np.full(base.shape[1], value, dtype=np.float32))
        row = base[rng.integers(len(base))].copy()
        row[rng.random(base.shape[1]) < 0.5] = value
        rows.append(row)
    while len(rows) < ROWS:
        rows.append(base[rng.integers(len(base))].copy())
    return np.array(rows, dtype=np.float32)


def write_rows(path, rows, margins, scores, contribs, bits):
    with path.open("w") as file:
        for at, row in enumerate(rows):
            line = {"x": " ".join(bits32(v) for v in row), "margin": bits(margins[at]), "score": bits(scores[at])}
            if at % (ROWS // CONTRIBS) == 0:
                line["contribs"] = [float(f"{v:.9g}") for v in contribs[at]]
            file.write(json.dumps(line, separators=(",", ":")) + "\n")


def xgb_thresholds(booster):
    found = []
    gradient_booster = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]
    model = gradient_booster["model"] if "model" in gradient_booster else gradient_booster["gbtree"]["model"]
    for tree in model["trees"]:
        kinds = tree.get("split_type") or [0] * len(tree["left_children"])
        for node, left in enumerate(tree["left_children"]):
            if left != -1 and kinds[node] == 0:
                found.append((tree["split_indices"][node], tree["split_conditions"][node]))
    return found


def xgb_case(
    folder, name, params, rounds=8, missing=0.1, types=None, features=6, names=None, labels="class", train=600
):
    if ONLY and name not in ONLY:
        return
    rng = np.random.default_rng(SEED)
    x, klass, value = training_rows(rng, train, features, missing, 0)
    if types:
        for at, kind in enumerate(types):
            if kind == "c":
                x[:, at] = rng.integers(0, 40 if at == 5 else 6, size=len(x))
                klass = np.where(rng.random(len(x)) < (x[:, at] % 3 == 1) * 0.6, 1 - klass, klass)
                x[rng.random(len(x)) < missing, at] = np.nan
    y = klass if labels == "class" else value
    params = {"seed": 1, "nthread": 1, "max_depth": 3, "eta": 0.4, **params}
    kinds = {"feature_types": types, "enable_categorical": True} if types else {}
    data = xgb.DMatrix(x, y, feature_names=names, **kinds)
    booster = xgb.train(params, data, rounds)
    rows = edge_rows(rng, x, xgb_thresholds(booster), False)
    if types:
        for at, kind in enumerate(types):
            if kind == "c":
                odd = [0, 1, 2, 5, 6, 39, 40, 63, 64, 1e6, 16777214, np.nan, 1.5, 0.25]
                rows[:, at] = np.where(
                    rng.random(len(rows)) < 0.4, rng.choice(odd, len(rows)), x[rng.integers(len(x), size=len(rows)), at]
                )
    test = xgb.DMatrix(rows, feature_names=names, **kinds)
    version = ".".join(xgb.__version__.split(".")[:2])
    stem = folder / f"xgb-{version}-{name}"
    booster.save_model(f"{stem}.json")
    if tuple(int(v) for v in version.split(".")) >= (1, 7):
        booster.save_model(f"{stem}.ubj")
    write_rows(
        Path(f"{stem}.rows.jsonl"),
        rows,
        booster.predict(test, output_margin=True),
        booster.predict(test),
        booster.predict(test, pred_contribs=True),
        bits32,
    )


def xgb_all(folder):
    logistic = {"objective": "binary:logistic"}
    names = ["amount", "count", "sum", "mean", "hour", "item,\u00e9\"\\"]
    xgb_case(folder, "logistic", logistic, names=names)
    xgb_case(folder, "base", {**logistic, "base_score": 0.0371})
    xgb_case(folder, "deep", {**logistic, "max_depth": 7, "min_child_weight": 0}, rounds=3)
    xgb_case(folder, "wide", {**logistic, "max_depth": 9, "min_child_weight": 0, "lambda": 0.1}, rounds=2, missing=0.3,
             train=4000)
    xgb_case(folder, "logitraw", {"objective": "binary:logitraw", "base_score": 0.3})
    xgb_case(folder, "reg-logistic", {"objective": "reg:logistic"})
    xgb_case(folder, "squared", {"objective": "reg:squarederror", "base_score": -7.25}, labels="value")
    xgb_case(folder, "parallel", {**logistic, "num_parallel_tree": 3, "subsample": 0.6, "colsample_bynode": 0.7})
    xgb_case(folder, "dart", {**logistic, "booster": "dart", "rate_drop": 0.4, "max_depth": 2}, rounds=9)
    xgb_case(folder, "pruned", {**logistic, "tree_method": "exact", "gamma": 3.0, "max_depth": 5}, rounds=5)
    xgb_case(folder, "lossguide", {**logistic, "grow_policy": "lossguide", "max_leaves": 40, "max_depth": 0,
                                   "tree_method": "hist", "min_child_weight": 0}, rounds=3)
    categorical = ["q", "q", "q", "q", "c", "c"]
    hist = {**logistic, "tree_method": "hist"}
    xgb_case(folder, "one-hot", {**hist, "max_cat_to_onehot": 100}, types=categorical)
    xgb_case(folder, "partition", {**hist, "max_cat_to_onehot": 1}, types=categorical)


def lgb_thresholds(booster):
    found = []

    def down(node):
        while "split_feature" in node:
            if node["decision_type"] == "<=":
                found.append((node["split_feature"], node["threshold"]))
            down(node["left_child"])
            node = node["right_child"]

    for tree in booster.dump_model()["tree_info"]:
        down(tree["tree_structure"])
    return found


def wide_rows(rng, base, thresholds, categorical):
    """Rows of f64 whose every value is on or beside a threshold of its feature."""
    by_feature = [[t for at, t in thresholds if at == feature] for feature in range(base.shape[1])]
    rows = base[rng.integers(len(base), size=ROWS)].astype(np.float64)
    zero = float(np.float32(1e-35))
    for row in rows:
        for at, found in enumerate(by_feature):
            if at in categorical:
                row[at] += rng.choice([0.0, 0.5, 1 - 2**-40, -(2**-40)])
            elif found and not np.isnan(row[at]):
                t = rng.choice([*found, zero, -zero])
                near = np.float32(t)
                low, high = np.nextafter(near, np.float32(-np.inf)), np.nextafter(near, np.float32(np.inf))
                between = rng.uniform(float(low), float(high))
                row[at] = rng.choice([t, np.nextafter(t, np.inf), np.nextafter(t, -np.inf), between])
    return rows


def write_wide(path, booster, rows):
    with path.open("w") as file:
        for row, margin, score in zip(rows, booster.predict(rows, raw_score=True), booster.predict(rows)):
            line = {"x": " ".join(bits64(v) for v in row), "margin": bits64(margin), "score": bits64(score)}
            file.write(json.dumps(line, separators=(",", ":")) + "\n")


def lgb_case(folder, name, params, rounds=8, missing=0.1, zeros=0.0, categorical=(), labels="class"):
    if ONLY and name not in ONLY:
        return
    rng = np.random.default_rng(SEED)
    x, klass, value = training_rows(rng, 800, 6, missing, zeros)
    for at in categorical:
        x[:, at] = rng.integers(0, 70 if at == 5 else 6, size=len(x))
        klass = np.where(rng.random(len(x)) < (x[:, at] % 3 == 1) * 0.6, 1 - klass, klass)
        x[rng.random(len(x)) < missing, at] = np.nan
    y = klass if labels == "class" else value
    params = {
        "objective": "binary", "num_leaves": 7, "min_data_in_leaf": 5, "seed": 1, "num_threads": 1,
        "learning_rate": 0.3, "verbose": -1, "deterministic": True, "min_data_per_group": 5, **params,
    }
    data = lgb.Dataset(x.astype(np.float64), y, categorical_feature=list(categorical), params=params)
    booster = lgb.train(params, data, rounds)
    rows = edge_rows(rng, x, lgb_thresholds(booster), True)
    for at in categorical:
        odd = [0, 1, 2, 5, 6, 31, 32, 63, 64, 1e6, 3e9, -1, -0.5, 1.5, np.nan, np.inf]
        rows[:, at] = np.where(
            rng.random(len(rows)) < 0.4, rng.choice(odd, len(rows)), x[rng.integers(len(x), size=len(rows)), at]
        )
    wide = rows.astype(np.float64)
    version = ".".join(lgb.__version__.split(".")[:2])
    stem = folder / f"lgb-{version}-{name}"
    booster.save_model(f"{stem}.txt")
    loaded = lgb.Booster(model_file=f"{stem}.txt")
    write_rows(
        Path(f"{stem}.rows.jsonl"),
        rows,
        loaded.predict(wide, raw_score=True),
        loaded.predict(wide),
        loaded.predict(wide, pred_contrib=True),
        bits64,
    )
    if name in WIDE:
        write_wide(Path(f"{stem}.wide.jsonl"), loaded, wide_rows(rng, x, lgb_thresholds(booster), categorical))


def lgb_all(folder):
    lgb_case(folder, "nan", {})
    lgb_case(folder, "none", {}, missing=0.0)
    lgb_case(folder, "no-missing", {"use_missing": False})
    lgb_case(folder, "zero", {"zero_as_missing": True}, zeros=0.3)
    lgb_case(folder, "sigmoid", {"sigmoid": 0.7})
    lgb_case(folder, "leaves", {"num_leaves": 90, "min_data_in_leaf": 1}, rounds=3)
    lgb_case(folder, "forty", {"num_leaves": 40, "min_data_in_leaf": 1}, rounds=3)
    lgb_case(folder, "categorical", {}, categorical=(4, 5))
    lgb_case(folder, "one-hot", {"max_cat_to_onehot": 100}, categorical=(4,))
    lgb_case(folder, "rf", {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.7})
    lgb_case(folder, "dart", {"boosting": "dart", "drop_rate": 0.5})
    lgb_case(folder, "regression", {"objective": "regression"}, labels="value")
    lgb_case(folder, "sqrt", {"objective": "regression", "reg_sqrt": True}, labels="value")
    lgb_case(folder, "cross-entropy", {"objective": "cross_entropy"})


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    xgb_all(folder)
    lgb_all(folder)
