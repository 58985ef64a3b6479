"""Golden qualities for the trainers of crates/train: the same rows, fitted by XGBoost and scikit-learn.

    python3 -m venv VENV && VENV/bin/pip install -r tools/golden/requirements-trainers.txt
    VENV/bin/python tools/golden/trainers.py crates/train/src/trainers.json

4,000 rows to fit and 4,000 to judge, of six features with a bend, a step, an interaction, noise and missing values, some 6 % of
them fraud. Kept are the rows, the area under the ROC curve and the average precision of each trainer, and the logistic
regression's coefficients of scaled features. The same bytes come out of the same versions.
"""

import json
import sys

import numpy as np
import sklearn
import xgboost as xgb
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

ROWS = 8000


def data():
    rng = np.random.default_rng(20261124)
    x = rng.normal(size=(ROWS, 6)).astype(np.float32)
    x[:, 3] = np.floor(np.exp(x[:, 3])).astype(np.float32)
    x = np.round(x, 2)
    margin = 1.5 * x[:, 0] + 2.0 * (x[:, 1] > 1) + 1.2 * x[:, 2] * (x[:, 3] > 1) - 4.2
    fraud = (rng.random(ROWS) < 1 / (1 + np.exp(-margin))).astype(int)
    x[rng.random((ROWS, 6)) < 0.03] = np.nan
    return x.astype(np.float32), fraud


def main():
    x, fraud = data()
    half = ROWS // 2
    fit, judge = slice(0, half), slice(half, ROWS)
    mean, scale = np.nanmean(x[fit].astype(float), axis=0), np.nanstd(x[fit].astype(float), axis=0)
    scaled = np.nan_to_num((x - mean) / scale, nan=0.0)
    booster = xgb.train(
        {
            "objective": "binary:logistic", "tree_method": "exact", "max_depth": 6, "eta": 0.1, "min_child_weight": 5,
            "base_score": 0.5, "nthread": 1, "seed": 1,
        },
        xgb.DMatrix(x[fit], label=fraud[fit]),
        100,
    )
    forest = RandomForestClassifier(n_estimators=100, max_depth=20, min_samples_leaf=20, max_features=0.5, random_state=1)
    forest.fit(scaled[fit], fraud[fit])
    logistic = LogisticRegression(C=1.0, tol=1e-10, max_iter=10000).fit(scaled[fit], fraud[fit])
    scores = {
        "boosted": booster.predict(xgb.DMatrix(x[judge])),
        "forest": forest.predict_proba(scaled[judge])[:, 1],
        "logistic": logistic.predict_proba(scaled[judge])[:, 1],
    }
    golden = {
        "versions": f"xgboost {xgb.__version__}, scikit-learn {sklearn.__version__}",
        "width": 6,
        "rows": [None if np.isnan(value) else round(float(value), 2) for value in x.ravel()],
        "fraud": fraud.tolist(),
        "qualities": {
            name: [float(roc_auc_score(fraud[judge], s)), float(average_precision_score(fraud[judge], s))]
            for name, s in scores.items()
        },
        "coefficients": logistic.coef_[0].tolist(),
        "intercept": float(logistic.intercept_[0]),
    }
    with open(sys.argv[1], "w") as file:
        json.dump(golden, file, separators=(",", ":"))
        file.write("\n")


main()
