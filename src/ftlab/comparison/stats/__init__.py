"""Statistics of a comparison, on plain arrays and numbers."""
