"""Golden numbers for the metrics of crates/train, by scikit-learn.

    python3 -m venv VENV && VENV/bin/pip install -r tools/golden/requirements-metrics.txt
    VENV/bin/python tools/golden/metrics.py crates/train/src/metrics/golden.json

The same bytes come out of the same versions. Scores are rounded, so that there are ties; one case has a few frauds among
many events, as a shop has, one has nothing but ties, one has scores of 0 and 1.
"""

import json
import sys

import numpy as np
import sklearn
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score, roc_curve


def case(rng, events, share, digits, separation):
    fraud = (rng.random(events) < share).astype(int)
    fraud[0], fraud[1] = 1, 0
    margin = rng.normal(size=events) + separation * fraud - 2
    scores = np.round(1 / (1 + np.exp(-margin)), digits)
    false_positives, recall, _ = roc_curve(fraud, scores, drop_intermediate=False)
    at = [float(recall[false_positives <= share + 1e-12].max()) for share in (0.001, 0.005, 0.01)]
    return {
        "scores": scores.tolist(),
        "fraud": fraud.tolist(),
        "roc_auc_score": float(roc_auc_score(fraud, scores)),
        "average_precision_score": float(average_precision_score(fraud, scores)),
        "brier_score_loss": float(brier_score_loss(fraud, scores)),
        "log_loss": float(log_loss(fraud, np.clip(scores, 1e-15, 1 - 1e-15))),
        "recall_at_fpr": at,
    }


def main():
    rng = np.random.default_rng(20261124)
    cases = [
        case(rng, 2000, 0.02, 4, 2.0),
        case(rng, 500, 0.3, 2, 1.0),
        case(rng, 200, 0.5, 1, 0.5),
        case(rng, 50, 0.5, 0, 3.0),
    ]
    golden = {"versions": f"scikit-learn {sklearn.__version__}, numpy {np.__version__}", "cases": cases}
    with open(sys.argv[1], "w") as file:
        json.dump(golden, file, separators=(",", ":"))
        file.write("\n")


main()
