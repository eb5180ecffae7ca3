#!/usr/bin/env bash
# Expected: a classifier that predicts the same class for every example has a Matthews correlation of 0 (Gorodkin, 2004, and
#   scikit-learn: the denominator is 0, and "no correlation" is the convention), whatever the labels are.
# Seen: torchmetrics 1.9.0 returns 0.67 where four of five labels are the constant class, 1.0 where all are, and 0 only where the two
#   labels are equally frequent, or there are more than two classes.
# What it costs: on unbalanced two-class data a majority baseline, or a model that collapsed to it, looks like a good one.
# Sources: torchmetrics/functional/classification/matthews_corrcoef.py (the branch for a zero denominator adds a small constant to the
#   counts), sklearn/metrics/_classification.py. Seen on 2026-11-30.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check torch==2.13.0 torchmetrics==1.9.0 scikit-learn==1.9.1
cd "$work"
venv/bin/python - <<'PY'
import torch
from sklearn.metrics import matthews_corrcoef
from torchmetrics.functional.classification import binary_matthews_corrcoef

seen = {}
for ones in (2, 3, 4):  # of five labels; the prediction is always 1
    labels, constant = [1] * ones + [0] * (5 - ones), [1] * 5
    seen[ones] = round(float(binary_matthews_corrcoef(torch.tensor(constant), torch.tensor(labels))), 2)
    print(f"labels {labels}, predictions {constant}: torchmetrics {seen[ones]}, scikit-learn {matthews_corrcoef(labels, constant)}")
if any(matthews_corrcoef([1] * n + [0] * (5 - n), [1] * 5) for n in seen) or seen[4] != 0.67:
    raise SystemExit("changed")
print("seen again")
PY
