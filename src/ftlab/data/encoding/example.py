"""Tokenized example and the array types of its fields."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int32]
Tokens = NDArray[np.int32]  # half of what torch needs, a tenth of a Python list
Numbers = NDArray[np.float32]
Target = int | Tokens | Numbers


@dataclass(frozen=True, slots=True)
class Example:
    """One tokenized example.

    Attributes:
        input_ids: (length,) token ids, special tokens included, no padding.
        labels: a class id; (length,) token ids, -100 at positions without a loss; or (outputs,) float32 numbers.
        token_type_ids: (length,) segment ids, for tokenizers that return them.
        tags: (words,) class id of each word of the sentence.
        places: (words,) index in `input_ids` of the first token of each word; -1 if the model does not see the word.
        text_bytes: number of UTF-8 bytes of the text of the tokens with a loss; None where they are not counted.
    """

    input_ids: Tokens
    labels: Target
    token_type_ids: Tokens | None = None
    tags: Tokens | None = None
    places: Tokens | None = None
    text_bytes: int | None = None
