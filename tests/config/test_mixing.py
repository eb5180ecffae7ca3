"""Sampling probabilities of mixed data sets."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ftlab.config.mixing import MixingConfig
from ftlab.core.errors import ConfigError
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused

ROWS = {"small": 100, "large": 10_000}
MIX = "dataset=news_and_topics"


@pytest.mark.parametrize(
    ("settings", "share"),
    [
        ({}, 100 / 10_100),
        ({"by": "proportional", "cap": 300}, 100 / 400),
        ({"by": "temperature", "temperature": 2.0}, 10 / 110),  # roots
        ({"by": "temperature", "temperature": 2.0, "cap": 400}, 10 / 30),
        ({"by": "temperature", "temperature": 1.0}, 100 / 10_100),
        ({"by": "equal"}, 1 / 2),
        ({"by": "weights", "weights": {"large": 3.0, "small": 1.0}}, 1 / 4),
    ],
)
def test_shares(settings: dict[str, object], share: float) -> None:
    shares = MixingConfig.model_validate(settings).sampling_probabilities(ROWS)
    assert list(shares) == list(ROWS)
    assert shares == {"small": pytest.approx(share), "large": pytest.approx(1 - share)}


@given(
    sizes=st.lists(st.integers(1, 10**9), min_size=2, max_size=6),
    temperature=st.floats(1, 100),
    cap=st.none() | st.integers(1, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_a_temperature_lies_between_proportional_and_equal(
    sizes: list[int], temperature: float, cap: int | None
) -> None:
    rows = {f"part {number}": size for number, size in enumerate(sizes)}
    proportional = MixingConfig(cap=cap).sampling_probabilities(rows)
    warmer = MixingConfig(by="temperature", temperature=temperature, cap=cap).sampling_probabilities(rows)
    assert sum(warmer.values()) == pytest.approx(1)
    assert min(proportional.values()) <= min(warmer.values()) * (1 + 1e-9)
    assert min(warmer.values()) <= (1 + 1e-9) / len(rows)


@pytest.mark.parametrize(
    "settings",
    [
        {"by": "weights"},
        {"weights": {"a": 1.0}},
        {"by": "temperature"},
        {"temperature": 2.0},
        {"by": "equal", "cap": 3},
        {"by": "weights", "weights": {"a": 0.0}},
        {"by": "temperature", "temperature": 0.5},
    ],
)
def test_settings_that_do_not_belong_together(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MixingConfig.model_validate(settings)


@pytest.mark.parametrize(
    ("overrides", "culprits"),
    [
        (["dataset=mixture"], ("dataset.parts",)),
        (["dataset=mixture", "+dataset@dataset.parts.a=bbc_news"], ("two", "+dataset@dataset.parts.NAME")),
        (["dataset=bbc_news", "+dataset.mixing.by=equal"], ("dataset=mixture",)),
        ([MIX, "dataset.mixing.by=weights", "dataset.mixing.weights={news: 1}"], ("weights", "topics")),
        ([MIX, "dataset.mixing.by=weights", "dataset.mixing.weights={news: 1, topic: 2}"], ("topic", "mean topics")),
        ([MIX, "+dataset.parts.news.max_len=9"], ("dataset.parts.news.max_len ", "max_length")),
        ([MIX, "+dataset.source.train=a.csv"], ("mixture", "source", "columns")),
        ([MIX, "+dataset@dataset.parts.mixture=imdb"], ("mixture",)),
        ([MIX, "dataset.parts.news.task=masked_lm"], ("news", "masked_lm")),
        ([MIX, "optim.packing=true"], ("optim.packing=true",)),
        ([MIX, "optim.group_by_length=true"], ("optim.group_by_length=true",)),
        ([MIX, "loss=contrastive"], ("loss.contrastive",)),
        ([MIX, "loss=mse"], ("loss=mse", "loss=default")),
        ([MIX, "hardware=fsdp"], ("strategy=fsdp",)),
    ],
)
def test_what_cannot_be_mixed_is_refused_in_one_sentence(overrides: list[str], culprits: tuple[str, ...]) -> None:
    with refused(ConfigError, *culprits) as error:
        composed(*overrides)
    assert str(error.value).count(". ") == 0


def test_presets_become_parts_from_the_command_line_and_from_a_file() -> None:
    typed = composed("dataset=mixture", "+dataset@dataset.parts.news=bbc_news", "+dataset@dataset.parts.films=sst2")
    assert [part.name for part in typed.dataset.parts.values()] == ["bbc_news", "sst2"]
    written = composed(MIX)
    assert written.dataset.mixing == MixingConfig(by="equal")
    assert [part.max_length for part in written.dataset.parts.values()] == [128, 64]
    assert written.dataset.max_length == 128


def test_where_a_part_lies_does_not_determine_a_result_but_its_length_does() -> None:
    from ftlab.config.fingerprint import config_hash, determinants

    plain, renamed = composed(MIX), composed(MIX, "dataset.parts.news.name=other", "dataset.name=other")
    longer = composed(MIX, "dataset.parts.topics.max_length=32")
    elsewhere = composed(MIX, "dataset.parts.topics.source.languages=[german]")
    assert determinants(plain) == determinants(renamed) == determinants(elsewhere)
    assert determinants(plain) != determinants(longer)
    assert config_hash(plain) != config_hash(elsewhere)


def test_a_data_set_alone_says_nothing_of_mixtures() -> None:
    dumped = composed().model_dump(mode="json", by_alias=True)["dataset"]
    assert not {"parts", "mixing"} & dumped.keys()
