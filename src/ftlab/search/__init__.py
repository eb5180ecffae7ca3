"""Searching the settings of each method: what may be tried, a study for each combination, and what came out."""
