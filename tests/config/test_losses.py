"""A loss that does not fit is refused when the configuration is read."""

import pytest

from ftlab.config.losses import LossConfig
from ftlab.config.run_config import validate
from ftlab.core.errors import ConfigError, UserError
from ftlab.methods import build_method
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.training import task_named


@pytest.mark.parametrize(
    ("overrides", "culprits"),
    [
        (["loss=mse"], ("loss=mse", "dataset.task=classification", "loss=default")),
        (["loss=huber", "dataset=chatterbot"], ("loss=huber", "dataset.task=instruction")),
        (["loss=cross_entropy", "dataset=stsb"], ("loss=cross_entropy", "dataset.task=regression")),
        (["loss=focal", "dataset=stsb"], ("loss=focal", "dataset.task=classification", "multilabel", "regression")),
        (["loss=focal", "dataset=wikitext"], ("loss=focal", "dataset.task=classification", "multilabel", "text")),
        (
            ["loss.label_smoothing=0.1", "dataset=go_emotions"],
            ("loss.label_smoothing", "dataset.task=classification", "multilabel"),
        ),
        (
            ["loss.class_weights=balanced", "dataset=stsb"],
            ("loss.class_weights", "dataset.task=classification", "regression"),
        ),
        (
            ["loss=contrastive", "dataset=go_emotions"],
            ("loss.contrastive", "dataset.task=classification", "multilabel"),
        ),
        (["loss.gamma=2"], ("loss.gamma", "loss=focal")),
        (["loss=focal", "loss.gamma=null"], ("loss.gamma", "loss=focal")),
        (["loss=focal", "loss.label_smoothing=0.1"], ("loss.label_smoothing", "cross entropy", "focal")),
        (["loss.class_weights=[1,-1]"], ("loss.class_weights", "negative")),
        (["loss.class_weights=[0,0]"], ("loss.class_weights", "0")),
        (["loss.class_weights=balance"], ("loss.class_weights",)),
        (["loss.temperature=0"], ("loss.temperature=0",)),
    ],
)
def test_a_misfit_is_one_sentence(overrides: list[str], culprits: tuple[str, ...]) -> None:
    with refused(ConfigError, *culprits) as raised:
        composed(*overrides)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "overrides",
    [
        ["loss=focal", "loss.class_weights=balanced"],
        ["loss=focal", "dataset=go_emotions"],
        ["loss=cross_entropy", "loss.label_smoothing=0.1", "loss.class_weights=[1,2.5]"],
        ["loss=cross_entropy", "dataset=chatterbot"],
        ["loss=mae", "dataset=stsb"],
        ["loss=contrastive"],
    ],
)
def test_what_fits_composes(overrides: list[str]) -> None:
    config = composed(*overrides)
    assert config.loss != LossConfig()
    assert config.loss.misfit(config.dataset.kind) is None


def test_a_record_from_before_there_were_losses_is_read() -> None:
    plain = composed().model_dump(mode="json", by_alias=True)
    del plain["loss"]
    assert validate(plain) == composed()


def test_answers_in_words_have_no_head_to_compare() -> None:
    task = build_method(composed("method=prompt_head").method).adapt_task(task_named("classification"), "decoder")
    with refused(UserError, "loss.contrastive", "head"):
        task.with_loss(LossConfig(contrastive=0.5))
