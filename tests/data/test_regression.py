"""Targets are numbers, standardised by the training rows alone, and named with their line where they are none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerBase

from ftlab.core.errors import DataError
from ftlab.data.regression import RegressionData
from tests.data.making import budget, build, dataset, jsonl, one_epoch, shared
from tests.fixtures.refusals import refused

Tokenizers = dict[str, PreTrainedTokenizerBase]
BOTH = {"text": "text", "target": ["score", "b"]}


def _rows(count: int = 40) -> list[dict[str, Any]]:
    return [{"text": f"text number {n}", "score": n / 10, "b": str(1000 - 100 * n)} for n in range(count)]


def _built(tmp_path: Path, rows: list[dict[str, Any]] | None = None, **settings: Any) -> RegressionData:
    limits = settings.pop("budget", budget())
    data = build(
        dataset(
            "regression",
            {"train": jsonl(tmp_path / "a.jsonl", rows or _rows()), **settings.pop("source", {})},
            **settings,
        ),
        budget=limits,
    )
    assert isinstance(data, RegressionData)
    return data


def test_training_targets_have_mean_0_and_deviation_1_each(tmp_path: Path, tokenizers: Tokenizers) -> None:
    data = _built(tmp_path, columns=BOTH)
    data.tokenize(tokenizers["bert"])
    assert data.task.labels == ("score", "b")
    count = data.rows["train"]
    seen = torch.cat([batch["labels"] for batch in one_epoch(data)])
    assert seen.dtype == torch.float32
    assert seen.shape[1] == 2
    given = np.array(
        [[float(row.values["target"].strip("[]").split(",")[i]) for i in (0, 1)] for row in data.splits["train"]]
    )
    assert data.task.target_means == pytest.approx(given.mean(0))
    assert data.task.target_scales == pytest.approx(given.std(0))
    assert data.task.label_shares == (0.0, 0.0)
    encoded = np.stack([example.labels for example in data.encode(tokenizers["bert"], data.splits["train"]).examples])
    assert len(encoded) == count
    assert encoded.mean(0) == pytest.approx([0, 0], abs=1e-5)
    assert encoded.std(0) == pytest.approx([1, 1], abs=1e-5)


def test_statistics_are_of_the_rows_that_train(tmp_path: Path) -> None:
    extreme = jsonl(tmp_path / "b.jsonl", [{"text": f"other {n}", "score": 1e6 + n} for n in range(9)])
    data = _built(tmp_path, source={"val": extreme, "test": extreme}, budget=budget(train_rows=5))
    numbers = [float(row.values["target"].strip("[]")) for row in data.splits["train"]]
    assert len(numbers) == 5
    assert data.task.target_means == pytest.approx([np.mean(numbers)])


def test_targets_may_stay_as_they_are(tmp_path: Path, tokenizers: Tokenizers) -> None:
    data = _built(tmp_path, standardise=False)
    data.tokenize(tokenizers["gpt2"])
    assert (data.task.target_means, data.task.target_scales) == ((0.0,), (1.0,))
    numbers = [float(row.values["target"].strip("[]")) for row in data.splits["train"]]
    assert data.task.label_shares == pytest.approx((np.mean(numbers),))
    assert data.encode(tokenizers["gpt2"], data.splits["train"]).examples[3].labels.tolist() == pytest.approx(
        numbers[3:4]
    )


@pytest.mark.parametrize(
    ("score", "culprits"),
    [
        ("good", ("'good'", "number")),
        ("nan", ("'nan'", "number")),
        ("-inf", ("'-inf'", "number")),
        (float("nan"), (" nan ", "number")),
        (True, ("True", "number")),
        ([1.0], ("[1.0]", "number")),
        ({"v": 1}, ("object",)),
        ("", ("target", "empty")),
        (None, ("target", "empty")),
    ],
)
def test_what_is_no_number_is_named_with_its_line(tmp_path: Path, score: Any, culprits: tuple[str, ...]) -> None:
    with refused(DataError, "a.jsonl:41", "'score'", *culprits):
        _built(tmp_path, [*_rows(), {"text": "x", "score": score}])


def test_rows_without_a_target_can_be_left_out(tmp_path: Path) -> None:
    rows = [*_rows(), {"text": "x", "score": 1, "b": ""}, {"text": "y", "score": None, "b": 2}]
    assert _built(tmp_path, rows, columns=BOTH, on_bad_rows="skip").dropped == {"incomplete": 2}


def test_a_target_that_never_changes_teaches_nothing(tmp_path: Path) -> None:
    with refused(DataError, "a.jsonl:", " b:"):
        _built(tmp_path, [{**row, "b": 3} for row in _rows()], columns=BOTH)


def test_a_column_is_one_target(tmp_path: Path) -> None:
    with refused(DataError, "dataset.columns.target=['b', 'b']"):
        _built(tmp_path, columns={"text": "text", "target": ["b", "b"]})


def test_pairs(tmp_path: Path, tokenizers: Tokenizers) -> None:
    rows = [{**row, "other": f"second {row['text']}"} for row in _rows()]
    data = _built(tmp_path, rows, columns={"text": "text", "text_pair": "other", "target": "score"})
    data.tokenize(tokenizers["bert"])
    assert set(one_epoch(data)[0]["token_type_ids"].unique().tolist()) == {0, 1}


def test_emobank() -> None:
    columns = {"text": "text", "target": ["V", "A", "D"]}
    data = build(dataset("regression", {"train": shared("emobank/emobank.csv")}, columns=columns))
    assert data.task.labels == ("V", "A", "D")
    assert all(2.5 < mean < 3.5 for mean in data.task.target_means)
