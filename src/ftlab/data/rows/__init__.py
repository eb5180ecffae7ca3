"""Rows of a data set: columns and roles, splits, storage."""
