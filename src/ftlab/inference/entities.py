"""Token classification predictions: a tag for each word, and the entities that the tags mark."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import nn

from ftlab.core.batch import model_inputs
from ftlab.data.encoding.example import Example
from ftlab.data.encoding.words import word_offsets
from ftlab.data.loading.collate import Collate
from ftlab.data.rows.row import Row
from ftlab.data.rows.tags import entity_spans, has_entity_tags
from ftlab.inference.finished_run import FinishedRun
from ftlab.tasks.token_classification import predicted_tags

Prediction = dict[str, Any]  # `words`, `tags` and, for tags of entities, `entities`
Entity = dict[str, Any]  # `text`, `type`, `start`, `end`


def with_placeholder_tags(run: FinishedRun, rows: Sequence[Row]) -> list[Row]:
    """Return the rows with a placeholder for each tag, so that they can be encoded; nothing reads the placeholders."""
    placeholder = run.task.labels[0]
    return [Row({**row.values, "tags": [placeholder] * len(row.values["tokens"])}, row.where) for row in rows]


def predict_tags(
    run: FinishedRun,
    model: nn.Module,
    rows: Sequence[Row],
    examples: Sequence[Example],
    collate: Collate,
    advance: Callable[[int], None],
) -> Iterator[Prediction]:
    """Yield for each row its `words` and `tags` and, if the tags mark entities, its `entities`.

    An entity has its text, its type, and its start and end as character offsets in the row's text. A row that was given
    as words has as text the words joined by spaces.
    """
    labels, size = run.task.labels, run.config.hardware.eval_batch_size
    device = next(model.parameters()).device
    for start in range(0, len(examples), size):
        batch = collate(list(enumerate(examples[start : start + size])))
        inputs = model_inputs(batch, device)
        logits = run.method.forward(model, inputs).float()
        tags = predicted_tags(logits, batch["places"].to(device), labels)
        for row, row_tags in zip(rows[start : start + size], tags, strict=False):
            words = row.values["tokens"]
            prediction: Prediction = {"words": words, "tags": row_tags[: len(words)]}
            if has_entity_tags(labels):
                text = row.values.get("text") or " ".join(words)
                prediction["entities"] = extract_entities(text, words, prediction["tags"])
            yield prediction
        advance(len(batch["index"]))


def extract_entities(text: str, words: Sequence[str], tags: Sequence[str]) -> list[Entity]:
    """Return the entities that the tags mark in a text; see `predict_tags`."""
    offsets = word_offsets(text, words)
    entities = []
    for entity_type, first_word, end_word in entity_spans(tags):
        start, end = offsets[first_word][0], offsets[end_word - 1][1]
        entities.append({"text": text[start:end], "type": entity_type, "start": start, "end": end})
    return entities


def annotate_entities(text: str, entities: Sequence[Entity]) -> str:
    """Return the text with its entities marked: [Berlin](LOC) is big."""
    parts, end = [], 0
    for entity in entities:
        parts.append(f"{text[end : entity['start']]}[{entity['text']}]({entity['type']})")
        end = entity["end"]
    return "".join([*parts, text[end:]])
