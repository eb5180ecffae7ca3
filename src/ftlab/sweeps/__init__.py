"""Sweeps: running their jobs, searching hyperparameters, estimating costs and reporting the comparison."""
