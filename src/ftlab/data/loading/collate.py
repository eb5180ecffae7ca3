"""Collator: pads or packs examples of different lengths into one batch of tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from ftlab.core.batch import IGNORE_INDEX
from ftlab.data.encoding.example import Example, Numbers, Tokens
from ftlab.data.loading.packing import first_fit_decreasing


@dataclass(frozen=True)
class Collate:
    """Pads a batch to its longest example, or packs it."""

    pad_id: int
    padding_side: Literal["left", "right"]
    decoder_start: int | None = None  # first decoder input of an encoder-decoder; None for no decoder inputs
    packed_length: int | None = None  # tokens of a row of packed examples, see `packing`; None for one example per row

    def __call__(self, numbered: Sequence[tuple[int, Example]]) -> dict[str, torch.Tensor]:
        """Return input_ids, attention_mask, labels, index, and token_type_ids and decoder_input_ids if needed.

        Args:
            numbered: examples with their row numbers in the split, which become `index`.

        Returns:
            Tensors of shape (examples, longest); `index` and class labels of shape (examples,). All have dtype int64,
            except labels that are numbers: (examples, outputs) of float32.
            A packed batch has fewer rows than examples, `position_ids` instead of the mask, and `tokens`, the number
            of tokens without padding.
        """
        index, examples = zip(*numbered, strict=True)
        if self.packed_length is not None:
            return {**self._pack(examples, self.packed_length), "index": torch.tensor(index)}
        batch = {
            "input_ids": self._pad([example.input_ids for example in examples], self.pad_id),
            # From the lengths, not from pad_id: if the eos token pads, real eos tokens must not be masked.
            "attention_mask": self._pad([np.ones_like(example.input_ids) for example in examples], 0),
            "index": torch.tensor(index),
        }
        segments = [example.token_type_ids for example in examples if example.token_type_ids is not None]
        if segments:
            batch["token_type_ids"] = self._pad(segments, 0)
        labels = [example.labels for example in examples]
        classes = [label for label in labels if isinstance(label, int)]
        tokens = [label for label in labels if not isinstance(label, int)]
        if classes:
            batch["labels"] = torch.tensor(classes)
        elif tokens[0].dtype == np.float32:
            batch["labels"] = torch.from_numpy(np.stack(tokens))
        else:
            batch["labels"] = self._pad(tokens, IGNORE_INDEX)
        batch |= self._word_labels(examples, batch["input_ids"].shape[1])
        if examples[0].text_bytes is not None:
            batch["text_bytes"] = torch.tensor([example.text_bytes for example in examples])
        if self.decoder_start is not None:
            batch["decoder_input_ids"] = self._shift_right(batch["labels"], self.decoder_start)
        return batch

    def _pack(self, examples: Sequence[Example], packed_length: int) -> dict[str, torch.Tensor]:
        rows = first_fit_decreasing([len(example.input_ids) for example in examples], packed_length)
        ids, labels, positions = zip(*(_concatenate([examples[index] for index in row]) for row in rows), strict=True)
        return {
            "input_ids": self._pad(ids, self.pad_id),
            "position_ids": self._pad(positions, 0),  # position 0 makes each padding token an example of its own
            "labels": self._pad(labels, IGNORE_INDEX),
            "tokens": torch.tensor(sum(map(len, ids))),
        }

    def _shift_right(self, labels: torch.Tensor, first: int) -> torch.Tensor:
        """Return the decoder inputs: position t sees the labels before t; class labels need only the start token."""
        targets = labels if labels.ndim == 2 else labels[:, None]
        start = torch.full((len(targets), 1), first)
        return torch.cat([start, targets[:, :-1].masked_fill(targets[:, :-1] == IGNORE_INDEX, self.pad_id)], dim=1)

    def _word_labels(self, examples: Sequence[Example], longest: int) -> dict[str, torch.Tensor]:
        """Return tags and word positions (`places`), (examples, most words), padded with -100 and -1."""
        tags, places = [], []
        for example in examples:
            if example.tags is None or example.places is None:
                return {}
            shift = longest - len(example.input_ids) if self.padding_side == "left" else 0
            tags.append(torch.from_numpy(example.tags.astype(np.int64)))
            places.append(torch.from_numpy(np.where(example.places < 0, -1, example.places + shift).astype(np.int64)))
        return {
            "tags": pad_sequence(tags, batch_first=True, padding_value=IGNORE_INDEX),
            "places": pad_sequence(places, batch_first=True, padding_value=-1),
        }

    def _pad(self, rows: Sequence[Tokens | Numbers], value: int) -> torch.Tensor:
        tensors = [torch.from_numpy(row.astype(np.int64)) for row in rows]
        return pad_sequence(tensors, batch_first=True, padding_value=value, padding_side=self.padding_side)


def _concatenate(examples: Sequence[Example]) -> tuple[Tokens, Tokens, Tokens]:
    """Return token ids, labels and positions of concatenated examples, each of shape (tokens,).

    The first token of an example has no label: the position before it, which would predict it, is in another example.
    """
    labels = [np.array(example.labels, np.int32) for example in examples]
    for example_labels in labels:
        example_labels[0] = IGNORE_INDEX
    return (
        np.concatenate([example.input_ids for example in examples]),
        np.concatenate(labels),
        np.concatenate([np.arange(len(example.input_ids), dtype=np.int32) for example in examples]),
    )
