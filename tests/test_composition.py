"""What Hydra composed becomes validated values; what it could not compose becomes one sentence."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig

from ftlab.composition import explain, resolve
from ftlab.errors import ConfigError
from ftlab.paths import conf_dir
from tests.fixtures.compose import composed


def compose_(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("train", overrides=[*overrides])


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("dataset=text_files", r"dataset\.source\.train is not set: add dataset\.source\.train=VALUE\."),
        ("sweep.dir=${no.such}", r"the configuration cannot be resolved: .*no\.such"),
        ("sweep.dir=null", r"sweep\.dir=None is not valid"),
    ],
)
def test_what_cannot_be_resolved_is_named(override: str, sentence: str) -> None:
    config = compose_(override)
    with pytest.raises(ConfigError, match=sentence):
        resolve(config)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["metod=lora"], "metod is not a setting of ftlab: did you mean method? (choices: budget, dataset,"),
        (["foo.bar=1"], "foo is not a setting of ftlab:"),  # the part that is wrong, not what is below it
        (["method=prefix", "method.virtual_token=1"], "did you mean virtual_tokens?"),
        (["model=_bse"], "model=_bse does not exist: (choices: bert-base-uncased,"),
        (["optim@other=sgd"], "Could not override 'optim@other'."),
    ],
)
def test_what_cannot_be_composed_is_explained(overrides: list[str], sentence: str) -> None:
    with pytest.raises(HydraException) as raised:
        compose_(*overrides)
    told = explain(raised.value)
    assert sentence in told
    assert "\n" not in told
    assert "_base" not in told
    assert "hydra" not in told


def test_a_learning_rate_may_follow_the_task() -> None:
    rates = composed("method=head").method.lr_by_task
    presets = {"classification": "bbc_news", "instruction": "chatterbot", "text": "wikitext", "seq2seq": "xsum"}
    presets |= {
        "token_classification": "conll2003",
        "multilabel": "go_emotions",
        "regression": "stsb",
        "mixture": "news_and_topics",
    }
    assert set(rates) == {*presets, "masked_lm"}  # of which there is no preset
    for task, dataset in presets.items():
        assert composed("method=head", f"dataset={dataset}").optim.lr == rates[task]
