"""Sentences whose words have a tag each: named entities, parts of speech."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.data.base import DataModule
from ftlab.data.collate import IGNORED, Example
from ftlab.data.encoded import Encoded
from ftlab.data.rows import SPLITS, Roles, Row, Splits, canonical
from ftlab.data.stored import changed
from ftlab.data.tags import bio_labels, is_mark, mark_entities, of_no_scheme, to_bio
from ftlab.data.words import WordTokenizer
from ftlab.errors import DataError
from ftlab.tasks.spec import LABELLED_WORDS, TOKEN_CLASSIFICATION, Task


class TokenClassificationData(DataModule):
    """The first sub-token of each word is labelled, and a sentence is cut to max_length.

    Tags that mark entities (IOB1, BIO, BIOES, BILOU) are turned into BIO. Words that are cut off, or that the tokenizer
    makes nothing of, have no prediction but stay in the metrics: they count as O.
    """

    roles = Roles(required=("tokens", "tags"), given=("tokens",), lists=("tokens", "tags"))

    def __init__(self, splits: Splits, *, classes: tuple[str, ...] | None = None, **settings: Any) -> None:
        """Take the rows; see `DataModule`.

        Args:
            splits: rows of train, val and test.
            classes: in the order of their ids; None: those of the rows.
            settings: see `DataModule`.

        Raises:
            DataError: a tag is none of the scheme.
        """
        self.labels = classes or labels(splits)
        if mark_entities(self.labels):
            splits = {split: changed(rows, _in_bio) for split, rows in splits.items()}
        super().__init__(splits, **settings)
        self._warn_of_labels()

    @property
    def task(self) -> Task:
        """Token classification with these labels and their shares in training; see `ClassificationData.task`."""
        words = _counts(self.splits["train"])
        whole = words.total() + len(self.labels)
        task = replace(
            TOKEN_CLASSIFICATION.with_labels(self.labels),
            label_shares=tuple((words[label] + 1) / whole for label in self.labels),
        )
        return task if mark_entities(self.labels) else replace(task, columns=LABELLED_WORDS)

    def encode(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Encoded:
        """Tokenize word by word and label the first token of each."""
        number = {label: index for index, label in enumerate(self.labels)}
        sentences = [row.values["tokens"] for row in rows]
        with_segments = "token_type_ids" in tokenizer("a")
        examples = []
        truncated = 0
        for row, found in zip(rows, WordTokenizer(tokenizer).encode(sentences, self.max_length), strict=True):
            tags = np.array([number[tag] for tag in row.values["tags"]], np.int32)
            places = np.array(found.places, np.int32)
            labels = np.full(len(found.ids), IGNORED, np.int32)
            labels[places[places >= 0]] = tags[places >= 0]
            segments = np.zeros(len(found.ids), np.int32) if with_segments else None
            examples.append(Example(np.array(found.ids, np.int32), labels, segments, tags, places))
            truncated += found.cut
        return Encoded(examples, [canonical(row.values) for row in rows], truncated, {})

    def demonstrate(self, tokenizer: PreTrainedTokenizerBase, candidates: Iterator[Row]) -> list[Row]:
        """Tags are not shown."""
        return []

    def tokenize(self, tokenizer: PreTrainedTokenizerBase, **settings: Any) -> None:
        """Say how many words of each split the model does not see; see `DataModule`."""
        super().tokenize(tokenizer, **settings)
        for split in SPLITS:
            count = words = 0
            for example in self._of(split).examples:
                if example.places is not None:
                    count, words = count + int((example.places < 0).sum()), words + len(example.places)
            if count:
                self.warnings.append(
                    f"{count} of the {words} words of the {split} rows ({count / words:.1%}) are beyond "
                    f"max_length={self.max_length} or nothing to the tokenizer: "
                    f"{'they are not learned' if split == 'train' else 'they count as predicted O'}."
                )

    def _warn_of_labels(self) -> None:
        """Say which tags are not learned: rare types of entities are often in one split alone, and no mistake."""
        learned = _counts(self.splits["train"])
        for split in ("val", "test"):
            found = _counts(self.splits[split])
            new = sorted(label for label in found if label not in learned)
            if new and learned:
                count = sum(found[label] for label in new)
                self.warnings.append(
                    f"{len(new)} tag{'s' * (len(new) != 1)} of the {split} rows {'are' if len(new) != 1 else 'is'} "
                    f"in no training row ({', '.join(new[:3])}{', …' if len(new) > 3 else ''}); words with "
                    f"{'them' if len(new) != 1 else 'it'}, which cannot be predicted right: {count}."
                )


def labels(splits: Splits) -> tuple[str, ...]:
    """Return the tags of all splits, by name whatever the order of the rows: O, then B- and I- of each type of entity.

    A tag of validation or test alone has an id too: it is missed, as it should be, and said in a warning.

    Raises:
        DataError: fewer than two tags, or a tag of no scheme; with file and line.
    """
    names = _counts(chain.from_iterable(splits.values()))
    entities = mark_entities(names)
    for row in chain.from_iterable(splits.values()):
        for word, tag in zip(row.values["tokens"], row.values["tags"], strict=True):
            if entities and not is_mark(tag):
                raise DataError(f"{row.where}: {of_no_scheme(word, tag)}")
            if not tag.strip():
                raise DataError(f"{row.where}: {word!r} has no tag: give it one.")
    if len(names) < 2:
        raise DataError(
            f"{splits['train'][0].where}: every word has the tag {next(iter(names))!r}: token classification needs two "
            "or more; is dataset.columns.tags the right column?"
        )
    return bio_labels(names) if entities else tuple(sorted(names))


def _in_bio(row: Row) -> Row:
    values: Mapping[str, Any] = {**row.values, "tags": to_bio(row.values["tags"])}
    return Row(values, row.where)


def _counts(rows: Iterable[Row]) -> Counter[str]:
    return Counter(tag for row in rows for tag in row.values["tags"])
