"""Batches: sampling, micro-batches, packing, padding."""
