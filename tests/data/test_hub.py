import time
from typing import Any

import datasets
import huggingface_hub
import pytest

from ftlab.data.hub import load
from ftlab.errors import DataError


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """A hub that has one data set and notes what it is asked for."""
    asked = []

    def answer(id: str, name: str | None, *, split: str, revision: str | None) -> Any:
        asked.append((id, name, split, revision))
        features = datasets.Features(
            {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])}
        )
        return datasets.Dataset.from_dict({"text": ["fine", "poor", "so so"], "label": [1, 0, -1]}, features=features)

    monkeypatch.setattr(datasets, "load_dataset", answer)
    return asked


def test_class_ids_become_names(hub: list[tuple[Any, ...]]) -> None:
    splits = load("some/reviews", name="plain", revision="abc", train="train", test="validation")
    assert hub == [("some/reviews", "plain", "train", "abc"), ("some/reviews", "plain", "validation", "abc")]
    assert list(splits) == ["train", "test"]
    assert [row.values["label"] for row in splits["train"]] == ["pos", "neg", None]
    assert splits["test"][1].where == "some/reviews[validation], row 2"


def test_what_is_within_a_column_is_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    features = datasets.Features({"translation": datasets.Translation(languages=["de", "en"])})
    pairs = {"translation": [{"de": "Guten Tag.", "en": "Hello."}]}
    table = datasets.Dataset.from_dict(pairs, features=features)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: table)
    (row,) = load("some/pairs")["train"]
    assert row.values == {"translation.de": "Guten Tag.", "translation.en": "Hello."}


def test_out_of_reach_is_said_soon_and_says_what_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)  # as on a machine that does not know it is offline
    monkeypatch.setattr("ftlab.data.hub._reachable", lambda: False)
    start = time.monotonic()
    with pytest.raises(
        DataError, match=r"nobody/nothing could not be had .*without the hub, dataset=bbc_news"
    ) as caught:
        load("nobody/nothing")
    assert time.monotonic() - start < 10
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [OSError("a\nb"), ValueError(""), ValueError("Unknown split 'tset'.")])
def test_every_refusal_is_one_sentence(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(DataError, match="some/reviews could not be had") as caught:
        load("some/reviews")
    assert "\n" not in str(caught.value)


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Session:
        def head(self, url: str, timeout: float) -> None:
            asked.append((url, timeout))
            raise ConnectionResetError

    monkeypatch.setattr(huggingface_hub.constants, "is_offline_mode", lambda: False)
    monkeypatch.setattr(huggingface_hub, "get_session", Session)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    with pytest.raises(DataError, match="nobody/nothing could not be had"):
        load("nobody/nothing")
    assert asked == [("https://huggingface.co", 10)]
