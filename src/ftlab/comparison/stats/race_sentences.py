"""Sentences of a race: one per decision of a look."""
from ftlab.comparison.stats.race_state import Look, RaceState
def with_sentences(look: Look, before: RaceState) -> Look:
    return look
