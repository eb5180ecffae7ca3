"""Excerpts of the test examples, from their rows: what readers see next to each prediction."""

from collections.abc import Iterator
from itertools import chain, islice

from transformers import PreTrainedTokenizerBase

from ftlab.data.base import DataModule
from ftlab.data.build import RunData
from ftlab.data.mixture import MixtureData
from ftlab.data.rows.excerpt import Excerpt
from ftlab.data.rows.row import ExampleIds, canonical_json
from ftlab.data.text import RunningText


def excerpts_of_tests(data: RunData, tokenizer: PreTrainedTokenizerBase) -> list[Excerpt | None]:
    """Return the excerpt of each test example, in the order of the data; None where its row is not known.

    Args:
        data: tokenized data; of the rows, those of the test split are needed.
        tokenizer: with which it was tokenized.
    """
    if isinstance(data, MixtureData):
        return [excerpt for part in data.parts.values() for excerpt in excerpts_of_tests(part, tokenizer)]
    ids = data.example_ids("test")
    if isinstance(data, RunningText):
        excerpts = data.excerpts(tokenizer, data.splits["test"])
        return [*islice(chain(excerpts, (None for _ in ids)), len(ids))]
    in_order = [excerpt for row in data.splits["test"] for excerpt in data.excerpts_of_row(row)]
    if len(in_order) == len(ids):
        return [*in_order]
    by_id = dict(zip(_ids_of_rows(data), in_order, strict=True))  # rows without room for an answer were dropped
    return [by_id.get(example_id) for example_id in ids]


def _ids_of_rows(data: DataModule) -> Iterator[str]:
    """Yield the example id of each excerpt; rows of equal content are dropped together, so their numbers agree."""
    counter = ExampleIds()
    for chunk in data.chunks(data.splits["test"]):
        yield from counter.next_ids([canonical_json(row.values) for row in chunk for _ in data.excerpts_of_row(row)])
