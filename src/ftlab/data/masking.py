"""Which tokens of a text are masked, for masked language modelling (Devlin et al., 2019, section 3.1)."""

from dataclasses import dataclass, replace

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.data.collate import IGNORED, Example, Tokens
from ftlab.errors import DataError

_SHARE = 0.15  # of the tokens are predicted
_MASKED, _RANDOM = 0.8, 0.1  # of these are replaced by the mask token, and by any token; the rest stays


def masked_count(maskable: int) -> int:
    """Return how many of so many tokens are predicted: 15 %, and one at least, as in BERT's own code."""
    return max(1, round(maskable * _SHARE))


@dataclass(frozen=True)
class Masking:
    """Masks examples whose labels are their tokens, and -100 where nothing may be masked.

    Attributes:
        mask_id: the mask token.
        words: (tokens,) ids that may take a token's place.
    """

    mask_id: int
    words: Tokens

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> "Masking":
        """Return the masking with this tokenizer.

        Raises:
            DataError: it has no mask token.
        """
        if tokenizer.mask_token_id is None:
            raise DataError(
                "this model's tokenizer has no mask token: use a model that was trained with one, or dataset.task=text."
            )
        ids = np.arange(len(tokenizer), dtype=np.int32)
        return cls(int(tokenizer.mask_token_id), ids[~np.isin(ids, tokenizer.all_special_ids)])

    def __call__(self, example: Example, *key: int) -> Example:
        """Return the example masked; which tokens are depends on the key alone (seed, epoch, row)."""
        generator = np.random.default_rng(key)
        labels = np.asarray(example.labels)
        maskable = np.flatnonzero(labels != IGNORED)
        chosen = generator.choice(maskable, masked_count(len(maskable)), replace=False)
        ids, targets = example.input_ids.copy(), np.full_like(labels, IGNORED)
        targets[chosen] = labels[chosen]
        lot = generator.random(len(chosen))
        ids[chosen[lot < _MASKED]] = self.mask_id
        changed = chosen[(lot >= _MASKED) & (lot < _MASKED + _RANDOM)]
        ids[changed] = generator.choice(self.words, len(changed))
        return replace(example, input_ids=ids, labels=targets)
