"""Answers about words: the entities in a text, or a tag for each of its words."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import nn

from ftlab.data.collate import Collate, Example, inputs_of
from ftlab.data.rows import Row
from ftlab.data.tags import mark_entities, spans
from ftlab.data.words import offsets
from ftlab.deploy.finished import Finished
from ftlab.tasks.token_classification import tagged

Answer = dict[str, Any]


def asked(run: Finished, rows: Sequence[Row]) -> list[Row]:
    """Return the rows with a place-holder for each tag, which nothing reads."""
    return [Row({**row.values, "tags": [run.task.labels[0]] * len(row.values["tokens"])}, row.where) for row in rows]


def tag(
    run: Finished,
    model: nn.Module,
    rows: Sequence[Row],
    examples: Sequence[Example],
    collate: Collate,
    advance: Callable[[int], None],
) -> Iterator[Answer]:
    """Yield for each row its `words` and `tags` and, where tags mark entities, the `entities`.

    An entity is its text, its type, and where in the row's text (the words with spaces between, where it was given as
    words) it starts and ends, in characters.
    """
    labels, size = run.task.labels, run.config.hardware.eval_batch_size
    device = next(model.parameters()).device
    for start in range(0, len(examples), size):
        batch = collate(list(enumerate(examples[start : start + size])))
        inputs = inputs_of(batch, device)
        logits = run.method.forward(model, inputs).float()
        tags = tagged(logits, batch["places"].to(device), labels)
        for row, found in zip(rows[start : start + size], tags, strict=False):
            words = row.values["tokens"]
            answer: Answer = {"words": words, "tags": found[: len(words)]}
            if mark_entities(labels):
                answer["entities"] = entities(row.values.get("text") or " ".join(words), words, answer["tags"])
            yield answer
        advance(len(batch["index"]))


def entities(text: str, words: Sequence[str], tags: Sequence[str]) -> list[Answer]:
    """Return the entities that tags mark in a text; see `tag`."""
    places = offsets(text, words)
    found = []
    for kind, first, behind in spans(tags):
        start, end = places[first][0], places[behind - 1][1]
        found.append({"text": text[start:end], "type": kind, "start": start, "end": end})
    return found


def marked(text: str, found: Sequence[Answer]) -> str:
    """Return the text with its entities in it: [Berlin](LOC) is big."""
    parts, end = [], 0
    for entity in found:
        parts.append(f"{text[end : entity['start']]}[{entity['text']}]({entity['type']})")
        end = entity["end"]
    return "".join([*parts, text[end:]])
