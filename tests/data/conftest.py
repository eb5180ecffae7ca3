"""Tiny tokenizers, made once."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from tests.tiny import save_tiny


@pytest.fixture(scope="session")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PreTrainedTokenizerBase]:
    folder: Path = tmp_path_factory.mktemp("tokenizers")
    found = {kind: AutoTokenizer.from_pretrained(save_tiny(kind, folder / kind)) for kind in ("bert", "gpt2", "llama")}
    found["bert"].model_input_names = ["input_ids", "token_type_ids", "attention_mask"]  # as BERT's own class has it
    return found
