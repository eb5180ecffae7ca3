"""Token classification predictions: a tag for each word, and the entities that the tags mark."""

from collections.abc import Sequence

from ftlab.data.encoding.words import word_offsets
from ftlab.data.rows.row import Row
from ftlab.data.rows.tags import entity_spans, has_entity_tags
from ftlab.inference.loaded_run import LoadedRun, empty_data_module
from ftlab.inference.predictions import Entity, TagsPrediction
from ftlab.tasks.token_classification import predicted_tags


def predict_tags(loaded: LoadedRun, rows: Sequence[Row]) -> list[TagsPrediction]:
    """Return a tag for each word of each row, and the entities if the tags mark some.

    A row that was given as words has as text the words joined by spaces.
    """
    run, labels = loaded.run, loaded.run.task.labels
    predictions: list[TagsPrediction] = []
    data, collate = empty_data_module(run, loaded.base, run.config.max_length, classes=labels)
    for batch, logits in loaded.batch_logits(data, collate, with_placeholder_tags(labels, rows)):
        tags = predicted_tags(logits, batch["places"].to(logits.device), labels)
        for row, row_tags in zip(rows[len(predictions) :], tags, strict=False):
            words = row.values["tokens"]
            word_tags = row_tags[: len(words)]
            text = row.values.get("text") or " ".join(words)
            entities = extract_entities(text, words, word_tags) if has_entity_tags(labels) else None
            predictions.append(TagsPrediction(words, word_tags, entities))
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
        entities.append(Entity(text[start:end], entity_type, start, end))
    return entities


def annotate_entities(text: str, entities: Sequence[Entity]) -> str:
    """Return the text with its entities marked: [Berlin](LOC) is big."""
    parts, end = [], 0
    for entity in entities:
        parts.append(f"{text[end : entity.start]}[{entity.text}]({entity.type})")
        end = entity.end
    return "".join([*parts, text[end:]])
