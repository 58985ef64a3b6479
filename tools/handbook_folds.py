#!/usr/bin/env python3
"""The Fraud Detection Handbook's four folds (its chapters 5 to 7), with `cartguard train`.

    tools/handbook_folds.py --cartguard target/release/cartguard --input handbook.parquet [--work DIR]

A fold: a week of training, a week of delay, the test week; cards whose fraud was known leave. Candidates are
compared by the mean average precision of the folds two weeks earlier, the best one alone is judged on the four test weeks.
"""

import argparse
import json
import subprocess
import tempfile
from datetime import date, timedelta
from pathlib import Path

TEST_WEEKS = [date(2018, 8, 8) + timedelta(weeks=week) for week in range(4)]
EARLIER = timedelta(weeks=2)
# What `train` is asked for.
CANDIDATES = [
    ["--algorithm", "boosted", "--depth", str(depth), "--trees", str(trees), "--rate", rate]
    for depth, trees, rate in ((4, 100, "0.1"), (6, 100, "0.1"), (4, 300, "0.05"))
]


def fold(asked, work, week, candidate, name):
    """AUC, average precision, card precision@100 of one fold."""
    until = week - timedelta(days=7)
    model = work / name / f"{week}"
    if not model.exists():
        config = Path(__file__).parent.parent / "config" / "handbook-labels.toml"
        subprocess.run(
            [asked.cartguard, "train", "--config", config, "--input", asked.input]
            + ["--from", str(until - timedelta(days=7)), "--until", str(until), "--gap", "7d"]
            + ["--test-until", str(week + timedelta(days=7)), "--known-cards-leave", "--k", "100"]
            + ["--output", model, *candidate],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    estimates = dict(json.loads((model / "report.json").read_text())["models"][0]["judgement"]["estimates"])
    return [estimates[metric]["value"] for metric in ("auc", "average_precision", "card_precision_at_k")]


def mean(folds):
    return [sum(values) / len(folds) for values in zip(*folds)]


def main():
    arguments = argparse.ArgumentParser(description="The Handbook's four folds.")
    arguments.add_argument("--cartguard", required=True, type=Path)
    arguments.add_argument("--input", required=True, type=Path, help="handbook.parquet")
    arguments.add_argument("--work", type=Path, help="where models are kept; a run goes on with what lies there")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = asked.work or Path(folder)
        earlier = []
        for number, candidate in enumerate(CANDIDATES):
            folds = [fold(asked, work, week - EARLIER, candidate, f"c{number}") for week in TEST_WEEKS]
            earlier.append(mean(folds)[1])
            print(f"{' '.join(candidate)}: average precision {earlier[-1]:.4f} two weeks earlier", flush=True)
        best = max(range(len(CANDIDATES)), key=lambda number: earlier[number])
        folds = [fold(asked, work, week, CANDIDATES[best], f"c{best}") for week in TEST_WEEKS]
        for week, values in zip(TEST_WEEKS, folds):
            print(week, " / ".join(f"{value:.4f}" for value in values))
        print(f"{' '.join(CANDIDATES[best])}:", " / ".join(f"{value:.4f}" for value in mean(folds)))


if __name__ == "__main__":
    main()
