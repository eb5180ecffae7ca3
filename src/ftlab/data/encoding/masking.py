"""Random token masking for masked language modelling (Devlin et al., 2019, section 3.1)."""

from dataclasses import dataclass, replace

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.core.batch import IGNORE_INDEX
from ftlab.core.errors import DataError
from ftlab.data.encoding.example import Example, Tokens

_MASKING_RATE = 0.15  # fraction of the tokens that are predicted
_MASKED, _RANDOM = 0.8, 0.1  # fractions of these replaced by the mask token, and by a random token; the rest stays


def masked_count(maskable: int) -> int:
    """Return how many of the maskable tokens are predicted: 15 %, at least one, as in the BERT code."""
    return max(1, round(maskable * _MASKING_RATE))


@dataclass(frozen=True)
class Masking:
    """Masks examples whose labels are their tokens, and -100 at positions that must not be masked.

    Attributes:
        mask_id: id of the mask token.
        replacement_ids: (tokens,) ids that may replace a token: all but the special tokens.
    """

    mask_id: int
    replacement_ids: Tokens

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> "Masking":
        """Return the masking for a tokenizer.

        Raises:
            DataError: the tokenizer has no mask token.
        """
        if tokenizer.mask_token_id is None:
            raise DataError(
                "this model's tokenizer has no mask token: use a model that was trained with one, or dataset.task=text."
            )
        ids = np.arange(len(tokenizer), dtype=np.int32)
        return cls(int(tokenizer.mask_token_id), ids[~np.isin(ids, tokenizer.all_special_ids)])

    def __call__(self, example: Example, *key: int) -> Example:
        """Return the masked example; which tokens are masked depends only on the key (seed, epoch, row)."""
        generator = np.random.default_rng(key)
        labels = np.asarray(example.labels)
        maskable = np.flatnonzero(labels != IGNORE_INDEX)
        chosen = generator.choice(maskable, masked_count(len(maskable)), replace=False)
        ids, targets = example.input_ids.copy(), np.full_like(labels, IGNORE_INDEX)
        targets[chosen] = labels[chosen]
        draws = generator.random(len(chosen))
        ids[chosen[draws < _MASKED]] = self.mask_id
        randomized = chosen[(draws >= _MASKED) & (draws < _MASKED + _RANDOM)]
        ids[randomized] = generator.choice(self.replacement_ids, len(randomized))
        return replace(example, input_ids=ids, labels=targets)
