"""Token classification data: sentences with a tag for each word (named entities, parts of speech)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.config.groups import DatasetConfig
from ftlab.config.task import Task
from ftlab.core.batch import IGNORE_INDEX
from ftlab.core.errors import DataError
from ftlab.data.base import DataModule
from ftlab.data.encoding.encoded_split import EncodedRows
from ftlab.data.encoding.example import Example
from ftlab.data.encoding.words import WordTokenizer, join_words
from ftlab.data.rows.excerpt import Excerpt, make_excerpt
from ftlab.data.rows.label_checks import label_doubts
from ftlab.data.rows.label_names import name_of
from ftlab.data.rows.mapping import to_text
from ftlab.data.rows.remarks import Remarks
from ftlab.data.rows.row import SPLITS, BadRow, Columns, Row, Splits, UnusableValue, canonical_json, value_at
from ftlab.data.rows.row_store import with_transform
from ftlab.data.rows.tag_schemes import EntityStarts, TagScheme, TagSchemeName, read_scheme, tag_set_doubts
from ftlab.data.rows.tags import OUTSIDE, bio_labels, has_entity_tags, is_entity_tag, to_bio, unknown_tag_message
from ftlab.data.span_rows import with_words
from ftlab.kinds.token_classification import KIND, TOKEN_ACCURACY_COLUMNS


class TokenClassificationData(DataModule):
    """The first sub-token of each word is labelled; sentences are truncated to max_length.

    Tags that mark entities (IOB1, BIO, BIOES, BILOU, IO) are converted to BIO. Words that are truncated away or have no
    tokens get no prediction, but count in the metrics as predicted O.
    """

    kind = KIND

    def __init__(
        self,
        splits: Splits,
        *,
        classes: tuple[str, ...] | None = None,
        tag_scheme: TagSchemeName | None = None,
        **settings: Any,
    ) -> None:
        """Take the rows; see `DataModule`.

        Args:
            splits: rows of train, val and test.
            classes: tags in the order of their ids; None for those of the rows.
            tag_scheme: see `read_scheme`.
            settings: see `DataModule`.

        Raises:
            DataError: a tag does not belong to the scheme.
        """
        counts = Counter[str]() if classes else _counts(chain.from_iterable(splits.values()))
        scheme = TagScheme("") if classes else read_scheme(counts, tag_scheme)
        if scheme.rewritten:
            splits = {split: with_transform(rows, partial(_rewritten, scheme)) for split, rows in splits.items()}
        starts, doubts = EntityStarts(), [*scheme.doubts]
        self.labels = classes or all_tags(splits, starts)
        if not classes:
            doubts += [*starts.doubts(scheme.name), *_doubts(counts, scheme)]
        if has_entity_tags(self.labels):
            splits = {split: with_transform(rows, _in_bio) for split, rows in splits.items()}
        super().__init__(splits, **settings)
        if scheme.name:
            note = f"tags: {starts.scheme(scheme.name)}, read as entities and converted to BIO"
            self.origin = replace(self.origin, notes=[*self.origin.notes, note])
        self.warnings += doubts
        self._warn_of_labels()

    @classmethod
    def prepare_rows(
        cls, rows: Iterable[Row | BadRow], columns: Columns, config: DatasetConfig, remarks: Remarks
    ) -> Iterable[Row | BadRow]:
        """Convert texts with spans to words with tags, and numbers of tags to their names; see `ColumnRoles`."""
        tokens, tags = columns.get("tokens"), columns.get("tags")
        if not isinstance(tokens, str) or not isinstance(tags, str):
            return rows
        converted = with_words(rows, tokens, tags, remarks)
        return converted if config.label_names is None else _named(converted, tags, config.label_names)

    @classmethod
    def init_args(cls, config: DatasetConfig, columns: Columns) -> dict[str, Any]:
        """Return the scheme of the tags, if it is set; see `__init__`."""
        return {"tag_scheme": config.tag_scheme}

    @property
    def task(self) -> Task:
        """Token classification with these labels and their relative frequencies; see `ClassificationData.task`."""
        words = _counts(self.splits["train"])
        total = words.total() + len(self.labels)
        shares = tuple((words[label] + 1) / total for label in self.labels)
        task = Task.of(self.kind, labels=self.labels, label_shares=shares)
        return task if has_entity_tags(self.labels) else replace(task, columns=TOKEN_ACCURACY_COLUMNS)

    def excerpts_of_row(self, row: Row) -> list[Excerpt]:
        """See `ColumnRoles`; the words as running text."""
        return [make_excerpt([join_words(row.values["tokens"])], row.where)]

    def encode(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> EncodedRows:
        """Tokenize word by word and label the first token of each."""
        number = {label: index for index, label in enumerate(self.labels)}
        sentences = [row.values["tokens"] for row in rows]
        with_segments = "token_type_ids" in tokenizer("a")
        examples = []
        truncated = 0
        encoded = WordTokenizer(tokenizer).encode(sentences, self.max_length)
        for row, sentence in zip(rows, encoded, strict=True):
            tags = np.array([number[tag] for tag in row.values["tags"]], np.int32)
            word_starts = np.array(sentence.word_starts, np.int32)
            labels = np.full(len(sentence.ids), IGNORE_INDEX, np.int32)
            labels[word_starts[word_starts >= 0]] = tags[word_starts >= 0]
            segments = np.zeros(len(sentence.ids), np.int32) if with_segments else None
            examples.append(Example(np.array(sentence.ids, np.int32), labels, segments, tags, word_starts))
            truncated += sentence.truncated
        return EncodedRows(examples, [canonical_json(row.values) for row in rows], truncated, {})

    def tokenize(self, tokenizer: PreTrainedTokenizerBase, **settings: Any) -> None:
        """Warn of words that the model does not see; see `DataModule`."""
        super().tokenize(tokenizer, **settings)
        for split in SPLITS:
            count = words = 0
            for example in self.tokenized_split(split).examples:
                if example.places is not None:
                    count, words = count + int((example.places < 0).sum()), words + len(example.places)
            if count:
                self.warnings.append(
                    f"{count} of the {words} words of the {split} rows ({count / words:.1%}) are beyond "
                    f"max_length={self.max_length} or nothing to the tokenizer: "
                    f"{'they are not learned' if split == 'train' else 'they count as predicted O'}."
                )

    def _warn_of_labels(self) -> None:
        """Warn of tags without a training row; no error, since rare entity types are often in one split only."""
        train_counts = _counts(self.splits["train"])
        for split in ("val", "test"):
            counts = _counts(self.splits[split])
            new = sorted(label for label in counts if label not in train_counts)
            if new and train_counts:
                count = sum(counts[label] for label in new)
                self.warnings.append(
                    f"{len(new)} tag{'s' * (len(new) != 1)} of the {split} rows {'are' if len(new) != 1 else 'is'} "
                    f"in no training row ({', '.join(new[:3])}{', …' if len(new) > 3 else ''}); words with "
                    f"{'them' if len(new) != 1 else 'it'}, which cannot be predicted right: {count}."
                )


def all_tags(splits: Splits, starts: EntityStarts | None = None) -> tuple[str, ...]:
    """Return the tags of all splits, sorted: O, then B- and I- of each entity type; other tags alphabetically.

    A tag that only validation or test has gets an id too: it counts as missed, and a warning names it.

    Args:
        splits: the rows.
        starts: counts how entities begin.

    Raises:
        DataError: there are fewer than two tags, or a tag does not belong to the scheme; names file and line.
    """
    names = _counts(chain.from_iterable(splits.values()))
    entities = has_entity_tags(names)
    for row in chain.from_iterable(splits.values()):
        for word, tag in zip(row.values["tokens"], row.values["tags"], strict=True):
            if entities and not is_entity_tag(tag):
                raise DataError(f"{row.where}: {unknown_tag_message(word, tag)}")
            if not tag.strip():
                raise DataError(f"{row.where}: {word!r} has no tag: give it one.")
        if starts is not None and entities:
            starts.add(row.values["tags"])
    if len(names) < 2:
        raise DataError(
            f"{splits['train'][0].where}: every word has the tag {next(iter(names))!r}: token classification needs two "
            "or more; is dataset.columns.tags the right column?"
        )
    return bio_labels(names) if entities else tuple(sorted(names))


def _doubts(counts: Counter[str], scheme: TagScheme) -> list[str]:
    """Return the doubts about these tags: tag -> number of words; of entities only the types count."""
    setting = "dataset.source.tags (of rows with lists, dataset.columns.tags)"
    if not scheme.name:
        return [*tag_set_doubts(counts, counts.total(), setting), *label_doubts(counts, setting, "words")]
    types = Counter[str]()
    for tag in counts:
        rewritten = scheme.rewritten.get(tag, tag)
        if rewritten != OUTSIDE:
            types[rewritten.partition("-")[2]] += counts[tag]
    return [*tag_set_doubts(types, types.total(), setting), *label_doubts(types, setting, "words in entities")]


def _named(rows: Iterable[Row | BadRow], tags: str, names: Sequence[str]) -> Iterator[Row | BadRow]:
    """Yield the rows with the names of tags that are numbers."""
    for row in rows:
        numbers = value_at(row.values, tags) if isinstance(row, Row) else None
        if not isinstance(row, Row) or not isinstance(numbers, list):
            yield row
            continue
        try:
            yield Row({**row.values, tags: [name_of(to_text(number), names) for number in numbers]}, row.where)
        except UnusableValue as error:
            yield BadRow(row.where, error.reason, f"column {tags!r} {error}")


def _rewritten(scheme: TagScheme, row: Row) -> Row:
    return Row({**row.values, "tags": scheme.rewrite(row.values["tags"])}, row.where)


def _in_bio(row: Row) -> Row:
    values: Mapping[str, Any] = {**row.values, "tags": to_bio(row.values["tags"])}
    return Row(values, row.where)


def _counts(rows: Iterable[Row]) -> Counter[str]:
    return Counter(tag for row in rows for tag in row.values["tags"])
