"""Labels from lists, texts and columns of 0 and 1; rows without any; splits in which no label is missing by chance."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from ftlab.core.errors import DataError
from ftlab.data.multilabel import MultilabelData, _labels
from ftlab.data.rows.row import Row
from tests.data.making import budget, build, dataset, jsonl, one_epoch, shared
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states

Tokenizers = dict[str, PreTrainedTokenizerBase]
NAMES = ("anger", "fear", "joy")


def _rows(count: int = 40) -> list[dict[str, Any]]:
    return [
        {"text": f"text number {n}", "labels": [name for i, name in enumerate(NAMES) if n >> i & 1]}
        for n in range(count)
    ]


def _csv(path: Path, lines: list[str]) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_lists_texts_and_columns_are_the_same(tmp_path: Path) -> None:
    rows = _rows()
    as_list = {"train": jsonl(tmp_path / "a.jsonl", rows)}
    as_text = {
        "train": _csv(tmp_path / "a.csv", ["text,labels", *(f"{r['text']},{' | '.join(r['labels'])}" for r in rows)])
    }
    switches = [f"{r['text']},{','.join(str(int(name in r['labels'])) for name in NAMES)}" for r in rows]
    as_columns = {"train": _csv(tmp_path / "b.csv", [f"text,{','.join(NAMES)}", *switches])}
    found = [
        build(dataset("multilabel", as_list)),
        build(dataset("multilabel", as_text, label_separator="|")),
        build(dataset("multilabel", as_columns, columns={"text": "text", "labels": list(NAMES)})),
    ]
    assert {data.hash for data in found} == {found[0].hash}
    assert {data.task.labels for data in found} == {NAMES}


def test_columns_keep_the_order_in_which_they_are_named(tmp_path: Path) -> None:
    rows = [{"text": f"t{n}", "b": n % 2, "a": True, "never": 0.0} for n in range(20)]
    config = dataset(
        "multilabel",
        {"train": jsonl(tmp_path / "a.jsonl", rows)},
        columns={"text": "text", "labels": ["b", "a", "never"]},
    )
    data = build(config)
    assert data.task.labels == ("b", "a", "never")
    assert len(data.warnings) == 2
    for warning, split in zip(data.warnings, ("train", "test"), strict=True):
        states(warning, 1, 3, split, "never")


@pytest.mark.parametrize("order", [1, -1])
def test_names_keep_their_order_whatever_that_of_the_rows(tmp_path: Path, order: int) -> None:
    data = build(dataset("multilabel", {"train": jsonl(tmp_path / "a.jsonl", _rows()[::order])}))
    assert data.task.labels == NAMES
    numbers = [{"text": f"t{n}", "labels": [n % 12]} for n in range(40)][::order]
    data = build(dataset("multilabel", {"train": jsonl(tmp_path / "b.jsonl", numbers)}))
    assert data.task.labels == tuple(map(str, range(12)))


def test_batches_hold_a_number_for_each_label(tmp_path: Path, tokenizers: Tokenizers) -> None:
    rows = _rows()
    data = build(dataset("multilabel", {"train": jsonl(tmp_path / "a.jsonl", rows)}))
    data.tokenize(tokenizers["bert"])
    batch = next(iter(data.test_dataloader()))
    assert batch["labels"].dtype == torch.float32
    expected = {row["text"]: [float(name in row["labels"]) for name in NAMES] for row in rows}
    found = [expected[row.values["text"]] for row in data.splits["test"]][: len(batch["labels"])]
    assert batch["labels"].tolist() == found
    assert [0.0, 0.0, 0.0] in [one for each in one_epoch(data) for one in each["labels"].tolist()]


def test_a_rare_label_is_in_training_and_the_order_of_ids_knows_no_budget(tmp_path: Path) -> None:
    rows = _rows(200)
    rows[7]["labels"] = ["joy", "rare"]
    config = dataset("multilabel", {"train": jsonl(tmp_path / "a.jsonl", rows)})
    data = build(config)
    assert any("rare" in row.values["labels"] for row in data.splits["train"])
    assert build(config, budget=budget(train_rows=4)).task.labels == data.task.labels == (*NAMES, "rare")
    for name in NAMES:  # every split has its share of each
        for split, rows_of in data.splits.items():
            assert 0.35 < sum(name in row.values["labels"] for row in rows_of) / len(rows_of) < 0.65, (name, split)


def test_a_label_that_training_lacks_is_warned_of(tmp_path: Path) -> None:
    source = {
        "train": jsonl(tmp_path / "a.jsonl", _rows()),
        "test": jsonl(tmp_path / "b.jsonl", [{"text": "x", "labels": ["new", *NAMES]}]),
    }
    data = build(dataset("multilabel", source))
    assert data.task.labels == ("anger", "fear", "joy", "new")
    (warning,) = data.warnings
    states(warning, 1, 4, "train", "new")


def test_shares_are_those_of_the_training_rows(tmp_path: Path) -> None:
    files = {
        split: jsonl(
            tmp_path / f"{split}.jsonl",
            [{"text": f"{split}{n}", "labels": ["a"] if n else ["a", "b"]} for n in range(8)],
        )
        for split in ("train", "val", "test")
    }
    assert build(dataset("multilabel", files)).task.label_shares == (9 / 10, 2 / 10)


@pytest.mark.parametrize(
    ("labels", "settings", "culprits"),
    [
        ("joy", {}, ("a.jsonl:3", "'labels'", "str", "list", "dataset.label_separator")),
        ([["joy"]], {}, ("a.jsonl:3", "'labels'", "['joy']")),
        ({"joy": 1}, {}, ("a.jsonl:3", "'labels'", "object", "text")),
        (2, {"columns": {"text": "text", "labels": ["labels"]}}, ("'labels'", "[", "]", "0 or 1")),
        ([], {"columns": {"text": "text", "labels": "label"}}, ("'label'", "dataset.columns.labels")),
        ([], {"columns": {"text": ["text"], "labels": "labels"}}, ("dataset.columns.text=['text']", "list")),
        ([], {"standardise": True}, ("dataset.standardise", "regression", "multilabel")),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, labels: Any, settings: dict[str, Any], culprits: tuple[str, ...]
) -> None:
    rows = [*_rows(2), {"text": "x", "labels": labels}]
    with refused(DataError, *culprits):
        build(dataset("multilabel", {"train": jsonl(tmp_path / "a.jsonl", rows)}, **settings))


def test_no_label_at_all_is_no_data(tmp_path: Path) -> None:
    source = {"train": jsonl(tmp_path / "a.jsonl", [{"text": f"t{n}", "labels": []} for n in range(9)])}
    with refused(DataError, "a.jsonl:1", "dataset.columns.labels"):
        build(dataset("multilabel", source))


def test_a_separator_is_for_labels_alone(tmp_path: Path) -> None:
    source = {"train": jsonl(tmp_path / "a.jsonl", [{"text": "x", "label": "y"}])}
    with refused(DataError, "dataset.label_separator", "multilabel", "classification"):
        build(dataset("classification", source, label_separator=","))


@pytest.mark.parametrize("setting", ["system", "prefix", "template"])
def test_a_setting_of_other_kinds_that_is_empty_is_not_set(setting: str, tmp_path: Path) -> None:
    rows = [{"text": f"x {n}", "label": "yn"[n % 2]} for n in range(30)]
    source = {"train": jsonl(tmp_path / "a.jsonl", rows)}
    assert build(dataset("classification", source, **{setting: ""})).rows["train"]
    with refused(DataError, f"dataset.{setting}", "seq2seq", "classification"):
        build(dataset("classification", source, **{setting: "x"}))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="|", exclude_categories=["Cs"]), max_size=5), max_size=5))
def test_a_text_with_separators_is_the_list_of_its_parts(names: list[str]) -> None:
    expected = sorted({name.strip() for name in names} - {""})
    assert json.loads(_labels("|".join(names), "|")) == expected
    assert json.loads(_labels(names, None)) == expected
    assert json.loads(_labels(None, "|")) == json.loads(_labels(float("nan"), "|")) == []


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sets(st.sampled_from(NAMES)), min_size=1, max_size=12))
def test_a_row_stands_for_its_rarest_label(sets: list[set[str]]) -> None:
    rows = [Row({"text": str(n), "labels": json.dumps(sorted(names))}, "") for n, names in enumerate(sets)]
    for unit, names in zip(MultilabelData.split_keys(rows), sets, strict=True):
        counts = {name: sum(name in other for other in sets) for name in names}
        assert (unit.stratum == "") if not names else counts[unit.stratum] == min(counts.values())


def test_nlupp() -> None:
    source = {"train": shared("nlupp_multilabel/fold0.json"), "test": shared("nlupp_multilabel/fold1.json")}
    data = build(dataset("multilabel", source, columns={"text": "text", "labels": "intents"}))
    assert len(data.task.labels) > 40
    assert any(row.values["labels"] == "[]" for row in data.splits["train"])
