"""Data sets: rows from a source, columns as roles, splits, and a DataModule that makes batches of them."""
