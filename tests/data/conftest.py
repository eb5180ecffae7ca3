"""Tiny tokenizers, made once."""

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from tests.fixtures.checkpoints import tiny


@pytest.fixture(scope="session")
def tokenizers() -> dict[str, PreTrainedTokenizerBase]:
    found = {kind: AutoTokenizer.from_pretrained(tiny(kind)) for kind in ("bert", "gpt2", "llama")}
    found["bert"].model_input_names = ["input_ids", "token_type_ids", "attention_mask"]  # as BERT's own class has it
    return found
