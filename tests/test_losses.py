"""A loss that does not fit is refused when the configuration is read."""

import pytest

from ftlab.errors import ConfigError, UserError
from ftlab.losses import LossConfig
from ftlab.methods import build
from ftlab.schema import validate
from tests.fixtures.compose import composed
from tests.training import task_named


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["loss=mse"], "loss=mse measures numbers and dataset.task=classification has none: use loss=default"),
        (["loss=huber", "dataset=chatterbot"], "loss=huber measures numbers and dataset.task=instruction has none"),
        (["loss=cross_entropy", "dataset=stsb"], "loss=cross_entropy needs classes and dataset.task=regression has"),
        (["loss=focal", "dataset=stsb"], "loss=focal is for dataset.task=classification and multilabel, not for regr"),
        (["loss=focal", "dataset=wikitext"], "loss=focal is for dataset.task=classification and multilabel, not for t"),
        (
            ["loss.label_smoothing=0.1", "dataset=go_emotions"],
            "loss.label_smoothing is for dataset.task=classification",
        ),
        (["loss.class_weights=balanced", "dataset=stsb"], "loss.class_weights is for dataset.task=classification and"),
        (["loss=contrastive", "dataset=go_emotions"], "loss.contrastive is for dataset.task=classification, not for"),
        (["loss.gamma=2"], "loss.gamma belongs to loss=focal: set both, or neither"),
        (["loss=focal", "loss.gamma=null"], "loss.gamma belongs to loss=focal: set both, or neither"),
        (["loss=focal", "loss.label_smoothing=0.1"], "loss.label_smoothing smooths cross entropy, not focal"),
        (["loss.class_weights=[1,-1]"], "loss.class_weights has a negative weight"),
        (["loss.class_weights=[0,0]"], "loss.class_weights are all 0"),
        (["loss.class_weights=balance"], "loss.class_weights"),
        (["loss.temperature=0"], "loss.temperature=0 is not valid"),
    ],
)
def test_a_misfit_is_one_sentence(overrides: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence.replace(".", r"\.")) as raised:
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
    assert config.loss.misfit(config.dataset.task) is None


def test_a_record_from_before_there_were_losses_is_read() -> None:
    plain = composed().model_dump(mode="json", by_alias=True)
    del plain["loss"]
    assert validate(plain) == composed()


def test_answers_in_words_have_no_head_to_compare() -> None:
    task = build(composed("method=prompt_head").method).adapt_task(task_named("classification"), "decoder")
    with pytest.raises(UserError, match=r"loss\.contrastive compares what a classification head reads"):
        task.with_loss(LossConfig(contrastive=0.5))
