import json
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import pytest

from ftlab.config.task_kind import Roles
from ftlab.core.errors import DataError
from ftlab.data.rows.mapping import BadRowHandler, map_rows
from ftlab.data.sources.files import read
from ftlab.data.sources.hub import load
from tests.data.making import jsonl, reviews
from tests.fixtures.refusals import refused


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
    assert list(splits["test"])[1].where == "some/reviews[validation], row 2"


def test_labels_by_the_number_become_names(monkeypatch: pytest.MonkeyPatch) -> None:
    names = datasets.ClassLabel(names=["joy", "anger"])
    features = datasets.Features({"text": datasets.Value("string"), "labels": datasets.List(names)})
    table = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "labels": [[1, 0], [], None]}, features=features)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: table)
    assert [row.values["labels"] for row in load("some/emotions")["train"]] == [["anger", "joy"], [], None]


def test_class_ids_in_lists_become_names(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = datasets.List(datasets.ClassLabel(names=["O", "B-PER", "I-PER"]))
    features = datasets.Features({"tokens": datasets.List(datasets.Value("string")), "ner_tags": tags})
    table = datasets.Dataset.from_dict({"tokens": [["Ada", "wrote"], []], "ner_tags": [[1, 0], []]}, features=features)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: table)
    rows = list(load("some/news")["train"])
    assert [row.values["ner_tags"] for row in rows] == [["B-PER", "O"], []]
    assert rows[0].values["tokens"] == ["Ada", "wrote"]


def test_out_of_reach_nothing_is_asked_and_what_works_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def request(_: Any, method: str, url: str, **__: Any) -> None:
        asked.append((method, url))
        raise ConnectionResetError

    monkeypatch.setattr(huggingface_hub.get_session().__class__, "request", request)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)  # as on a machine that does not know it is offline
    monkeypatch.setattr("ftlab.data.sources.hub._reachable", lambda: False)
    with refused(DataError, "nobody/nothing", "dataset=bbc_news", "text_files") as caught:
        load("nobody/nothing")
    assert datasets.config.HF_HUB_OFFLINE  # so that the library does not ask, five times and patiently
    assert asked == []
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [OSError("a\nb"), ValueError(""), ValueError("Unknown split 'tset'.")])
def test_every_refusal_is_one_sentence(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with refused(DataError, "some/reviews", "dataset=bbc_news", *str(error).rstrip(".").splitlines()[:1]) as caught:
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
    with refused(DataError, "nobody/nothing", "dataset=bbc_news"):
        load("nobody/nothing")
    assert asked == [("https://huggingface.co", 10)]


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A hub whose data sets are the jsonl files of a folder, read by the real library."""
    real = datasets.load_dataset

    def answer(id: str, name: str | None, *, split: str, revision: str | None, streaming: bool = False) -> Any:
        return real(
            "json",
            data_files={split: str(tmp_path / f"{id}.jsonl")},
            split=split,
            streaming=streaming,
            cache_dir=str(tmp_path / "cache"),
        )

    monkeypatch.setattr(datasets, "load_dataset", answer)
    monkeypatch.setattr("ftlab.data.sources.hub._reachable", lambda: False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    return tmp_path


@pytest.mark.parametrize("streaming", [True, False])
def test_the_first_rows_of_a_stream(local: Path, streaming: bool) -> None:
    jsonl(local / "reviews.jsonl", reviews(50))
    splits = load("reviews", train="train", test="train", streaming=streaming, rows=7)
    rows = list(splits["train"])
    assert [dict(row.values) for row in rows] == reviews(7)
    assert rows[-1].where == "reviews[train], row 7"
    assert len(list(splits["test"])) == 7
    assert len(list(load("reviews", streaming=streaming, rows=1000)["train"])) == 50


def test_a_stream_is_read_no_further_than_asked(local: Path) -> None:
    line = json.dumps({"text": "word " * 200, "label": "good"}) + "\n"
    (local / "cut.jsonl").write_text(line * 12_000 + '{"text": "a", "la')  # more than the library fetches at once
    assert len(list(load("cut", streaming=True, rows=20)["train"])) == 20
    with refused(DataError, "cut", "dataset=bbc_news"):
        list(load("cut", streaming=True, rows=20_000)["train"])


def test_texts_that_the_library_made_dates_of_have_a_way_out(local: Path) -> None:
    rows = [{"text": f"2020-01-{day:02}", "label": day % 2} for day in range(1, 29)]
    jsonl(local / "days.jsonl", rows)
    roles = Roles(required=("text", "label"), inputs=("text",))
    with refused(DataError, "days[train], row 1", "'text'", "ftlab.data.sources.files.read", "dataset.source.train"):
        list(map_rows(load("days")["train"], {"text": "text", "label": "label"}, roles, BadRowHandler("error")))
    own = map_rows(
        read(str(local / "days.jsonl"))["train"], {"text": "text", "label": "label"}, roles, BadRowHandler("error")
    )
    assert [row.values["text"] for row in own] == [row["text"] for row in rows]


def test_a_stream_needs_an_end() -> None:
    with refused(DataError, "dataset.source.streaming=true", "dataset.source.rows"):
        load("some/reviews", streaming=True)


def test_code_of_a_data_set_is_never_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library refuses it unless it is asked to trust it, which it is not."""
    asked: dict[str, Any] = {}

    def answer(*_: Any, **told: Any) -> None:
        asked.update(told)
        raise RuntimeError("Dataset scripts are no longer supported, but found reviews.py")

    monkeypatch.setattr(datasets, "load_dataset", answer)
    with refused(DataError, "some/reviews", "scripts are no longer supported, but found reviews.py"):
        load("some/reviews")
    assert "trust_remote_code" not in asked
