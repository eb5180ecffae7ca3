"""Token classification predictions: a tag for each word, and the entities that the tags mark."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from ftlab.core.batch import model_inputs
from ftlab.data.encoding.words import word_offsets
from ftlab.data.rows.row import Row
from ftlab.data.rows.tags import entity_spans, has_entity_tags
from ftlab.inference.encoding import empty_data_module
from ftlab.inference.finished_run import FinishedRun
from ftlab.models import Base
from ftlab.tasks.token_classification import predicted_tags

Prediction = dict[str, Any]  # `words`, `tags` and, for tags of entities, `entities`
Entity = dict[str, Any]  # `text`, `type`, `start`, `end`


def predict_tags(
    run: FinishedRun,
    base: Base,
    model: nn.Module,
    rows: Sequence[Row],
    *,
    max_new_tokens: int,
    advance: Callable[[int], None],
) -> list[Prediction]:
    """Return for each row its `words` and `tags` and, if the tags mark entities, its `entities`.

    An entity has its text, its type, and its start and end as character offsets in the row's text. A row that was given
    as words has as text the words joined by spaces.
    """
    labels, size = run.task.labels, run.config.hardware.eval_batch_size
    device = next(model.parameters()).device
    data, collate = empty_data_module(run, base, run.config.max_length, classes=labels)
    examples = data.encode(base.tokenizer, with_placeholder_tags(labels, rows)).examples
    predictions = []
    for start in range(0, len(examples), size):
        batch = collate(list(enumerate(examples[start : start + size])))
        logits = run.method.forward(model, model_inputs(batch, device)).float()
        tags = predicted_tags(logits, batch["places"].to(device), labels)
        for row, row_tags in zip(rows[start : start + size], tags, strict=False):
            words = row.values["tokens"]
            prediction: Prediction = {"words": words, "tags": row_tags[: len(words)]}
            if has_entity_tags(labels):
                text = row.values.get("text") or " ".join(words)
                prediction["entities"] = extract_entities(text, words, prediction["tags"])
            predictions.append(prediction)
        advance(len(batch["index"]))
    return predictions


def with_placeholder_tags(labels: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    """Return the rows with a placeholder for each tag, so that they can be encoded; nothing reads the placeholders."""
    return [Row({**row.values, "tags": [labels[0]] * len(row.values["tokens"])}, row.where) for row in rows]


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
