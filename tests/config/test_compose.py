"""Composition by Hydra: validated values, or one sentence."""

import pytest
from hydra.errors import HydraException

from ftlab.config.compose import explain, resolve
from ftlab.core.errors import ConfigError
from tests.fixtures.compose import compose_anew, compose_cached, composed
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states


@pytest.mark.parametrize(
    ("override", "culprit"),
    [
        ("dataset=text_files", "dataset.source.train=VALUE"),
        ("sweep.dir=${no.such}", "no.such"),
        ("sweep.dir=null", "sweep.dir=None"),
    ],
)
def test_what_cannot_be_resolved_is_named(override: str, culprit: str) -> None:
    config = compose_cached(override)
    with refused(ConfigError, culprit):
        resolve(config)


@pytest.mark.parametrize(
    ("overrides", "facts"),
    [
        (["metod=lora"], ("metod ", "mean method?", "budget, compare,")),
        (["foo.bar=1"], ("foo ", "budget, compare,")),
        (["method=prefix", "method.virtual_token=1"], ("method.virtual_token ", "mean virtual_tokens?")),
        (["model=_bse"], ("model=_bse", "choose one of bert-base-uncased,")),
        (["optim@other=sgd"], ("'optim@other'",)),
        (["method=lora,full"], ("method=lora,full", "add -m ")),
        (["optim.lr=interval(1e-4,1e-3)"], ("optim.lr=interval(1e-4,1e-3)", "add -m ")),
        (["model=/models/mine"], ("model=hf model.name=/models/mine",)),
        (["model=./mine"], ("model=hf model.name=./mine",)),
        (["model=Qwen/Qwen2.5-0.5B"], ("model=hf model.name=Qwen/Qwen2.5-0.5B",)),
        (["dataset=data/mine.csv"], ("dataset=text_files dataset.source.train=data/mine.csv",)),
        (["method.r=16"], ("method.r ", "mean method.config.r?")),
        (["method.use_rslora=true"], ("method.use_rslora ", "mean method.config.use_rslora?")),
        (["warmup=0.1"], ("warmup ", "mean optim.warmup?")),
        (["sweep.name=评论"], ("sweep.name=评论", """'sweep.name="评论"'""")),
        (["评论"], ("评论", "KEY=VALUE", """'KEY="VALUE"'""")),
    ],
)
def test_what_cannot_be_composed_is_explained(overrides: list[str], facts: tuple[str, ...]) -> None:
    with pytest.raises(HydraException) as raised:
        compose_anew(*overrides)
    told = explain(raised.value)
    states(told, *facts)
    assert "foo.bar" not in told  # named is the part that is wrong, not what is below it
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
