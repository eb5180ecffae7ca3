"""From examples of any length to one batch of tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence

from ftlab.data.packing import bins

IGNORED = -100  # label of a position without loss, as everywhere in Transformers

_NO_INPUTS = ("labels", "index", "share", "tokens", "text_bytes", "tags", "places", "part", "labelled")

Tokens = NDArray[np.int32]  # half of what torch needs, a tenth of a Python list
Numbers = NDArray[np.float32]
Answer = int | Tokens | Numbers


@dataclass(frozen=True, slots=True)
class Example:
    """One tokenized example.

    Attributes:
        input_ids: (length,) token ids, special tokens included, no padding.
        labels: a class id; (length,) token ids with -100 where there is no loss; or (outputs,) numbers, of float32.
        token_type_ids: (length,) segment ids, for tokenizers that have them.
        tags: (words,) class id of each word of the sentence.
        places: (words,) where in `input_ids` each word begins; -1: the model does not see it.
        text_bytes: UTF-8 bytes of the text behind the labelled tokens; None where they are not counted.
    """

    input_ids: Tokens
    labels: Answer
    token_type_ids: Tokens | None = None
    tags: Tokens | None = None
    places: Tokens | None = None
    text_bytes: int | None = None


@dataclass(frozen=True)
class Collate:
    """Pads a batch to its longest example."""

    pad_id: int
    padding_side: Literal["left", "right"]
    decoder_start: int | None = None  # token that an encoder-decoder's own text begins with; None: no decoder inputs
    packed: int | None = None  # tokens of a row that several examples share, see `packing`; None: a row each

    def __call__(self, numbered: Sequence[tuple[int, Example]]) -> dict[str, torch.Tensor]:
        """Return input_ids, attention_mask, labels, index, and token_type_ids and decoder_input_ids where needed.

        Args:
            numbered: examples with their row numbers in the split, which become `index`.

        Returns:
            Tensors of shape (examples, longest); `index` and class labels of shape (examples,). All of dtype int64, but
            for labels that are numbers, (examples, outputs) of float32.
            Packed, there are fewer rows than examples, `position_ids` take the mask's place, and `tokens` is the number
            of those that are no padding.
        """
        index, examples = zip(*numbered, strict=True)
        if self.packed is not None:
            return {**self._packed(examples, self.packed), "index": torch.tensor(index)}
        batch = {
            "input_ids": self._pad([example.input_ids for example in examples], self.pad_id),
            # From the lengths, not from pad_id: where padding is the eos token, the real eos must not be masked.
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
            batch["labels"] = self._pad(tokens, IGNORED)
        batch |= self._words(examples, batch["input_ids"].shape[1])
        if examples[0].text_bytes is not None:
            batch["text_bytes"] = torch.tensor([example.text_bytes for example in examples])
        if self.decoder_start is not None:
            batch["decoder_input_ids"] = self._shifted(batch["labels"], self.decoder_start)
        return batch

    def _packed(self, examples: Sequence[Example], room: int) -> dict[str, torch.Tensor]:
        shared = bins([len(example.input_ids) for example in examples], room)
        ids, labels, positions = zip(*(_joined([examples[n] for n in numbers]) for numbers in shared), strict=True)
        return {
            "input_ids": self._pad(ids, self.pad_id),
            "position_ids": self._pad(positions, 0),  # so each padding token is an example of its own
            "labels": self._pad(labels, IGNORED),
            "tokens": torch.tensor(sum(map(len, ids))),
        }

    def _shifted(self, labels: torch.Tensor, first: int) -> torch.Tensor:
        """Return what the decoder reads: position t sees the labels before t; of classes, the start token alone."""
        targets = labels if labels.ndim == 2 else labels[:, None]
        start = torch.full((len(targets), 1), first)
        return torch.cat([start, targets[:, :-1].masked_fill(targets[:, :-1] == IGNORED, self.pad_id)], dim=1)

    def _words(self, examples: Sequence[Example], longest: int) -> dict[str, torch.Tensor]:
        """Return tags and places, (examples, most words): tags are padded with -100, places with -1."""
        tags, places = [], []
        for example in examples:
            if example.tags is None or example.places is None:
                return {}
            shift = longest - len(example.input_ids) if self.padding_side == "left" else 0
            tags.append(torch.from_numpy(example.tags.astype(np.int64)))
            places.append(torch.from_numpy(np.where(example.places < 0, -1, example.places + shift).astype(np.int64)))
        return {
            "tags": pad_sequence(tags, batch_first=True, padding_value=IGNORED),
            "places": pad_sequence(places, batch_first=True, padding_value=-1),
        }

    def _pad(self, rows: Sequence[Tokens | Numbers], value: int) -> torch.Tensor:
        tensors = [torch.from_numpy(row.astype(np.int64)) for row in rows]
        return pad_sequence(tensors, batch_first=True, padding_value=value, padding_side=self.padding_side)


def inputs_of(batch: Mapping[str, torch.Tensor], device: torch.device | None = None) -> dict[str, torch.Tensor]:
    """Return what of a batch goes into the model, on this device; None: where it is."""
    inputs = {key: value for key, value in batch.items() if key not in _NO_INPUTS}
    return inputs if device is None else {key: value.to(device) for key, value in inputs.items()}


def _joined(examples: Sequence[Example]) -> tuple[Tokens, Tokens, Tokens]:
    """Return token ids, labels and positions of examples one after the other, each of shape (tokens,).

    No label stands at an example's first token: the position before it, which would predict it, is another example's.
    """
    labels = [np.array(example.labels, np.int32) for example in examples]
    for part in labels:
        part[0] = IGNORED
    return (
        np.concatenate([example.input_ids for example in examples]),
        np.concatenate(labels),
        np.concatenate([np.arange(len(example.input_ids), dtype=np.int32) for example in examples]),
    )
