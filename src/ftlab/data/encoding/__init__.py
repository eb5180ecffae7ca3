"""Tokenization: examples of a split, special tokens, masking, and the cache of tokenized splits."""
