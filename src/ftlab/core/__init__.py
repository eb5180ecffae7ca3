"""Foundations of every other package: errors, signals, downloads, batches."""
