"""Evaluation beyond the test metrics: robustness, per-class scores, slices, forgetting, overfitting, latency."""
