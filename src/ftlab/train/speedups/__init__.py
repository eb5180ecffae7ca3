"""Speedups that do not change results, each with its own switch."""
