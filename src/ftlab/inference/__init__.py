"""Inference with finished runs: restore the trained model, predict with it, export it to other libraries."""
