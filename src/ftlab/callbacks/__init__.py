"""What watches a training run: its cost, its sanity, its progress."""
