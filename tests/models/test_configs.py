"""The choices of the groups `model` and `quant`."""

from pathlib import Path

import pytest

from ftlab.config.paths import conf_dir
from tests.fixtures.compose import composed

MODELS = sorted(path for path in (conf_dir() / "model").glob("*.yaml") if path.stem != "_base")
QUANTS = sorted((conf_dir() / "quant").glob("*.yaml"))


def test_the_promised_choices_are_there() -> None:
    assert {path.stem for path in QUANTS} == {"none", "nf4", "int8"}
    assert {path.stem for path in MODELS} >= {
        *("minilm", "smollm2-135m", "hf", "bert-base-uncased", "roberta-base", "gpt2", "distilgpt2", "t5-small"),
        *("flan-t5-base", "qwen2.5-0.5b", "llama-3.2-1b"),
    }


@pytest.mark.parametrize("path", [*MODELS, *QUANTS], ids=lambda path: path.stem)
def test_choice_teaches_and_is_valid(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")
    named = ["model.name=some/model"] if path.stem == "hf" else []
    group = path.parent.name
    values = getattr(composed(f"{group}={path.stem}", *named), group)
    assert values.name == ("some/model" if named else path.stem)
