"""The choices of the groups `model` and `quant`."""

from pathlib import Path

import pytest
import yaml

from ftlab.schema import ModelConfig, QuantConfig

CONF = Path(__file__).resolve().parents[2] / "conf"
MODELS = sorted((CONF / "model").glob("*.yaml"))
QUANTS = sorted((CONF / "quant").glob("*.yaml"))


def test_the_promised_choices_are_there() -> None:
    assert {path.stem for path in QUANTS} == {"none", "nf4", "int8"}
    assert {path.stem for path in MODELS} >= {
        *("minilm", "smollm2-135m", "hf", "bert-base-uncased", "roberta-base", "gpt2", "distilgpt2", "t5-small"),
        *("flan-t5-base", "qwen2.5-0.5b", "llama-3.2-1b"),
    }


@pytest.mark.parametrize("path", [*MODELS, *QUANTS], ids=lambda path: path.stem)
def test_choice_teaches_and_is_valid(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    values = yaml.safe_load(text)
    if path.stem == "hf":
        assert values["name"] == "???"
    else:
        assert values["name"] == path.stem
    shape = ModelConfig if path.parent.name == "model" else QuantConfig
    shape.model_validate(values)
