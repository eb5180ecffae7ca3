"""Rows of several data sets: whose turn it is, and that each row stays its own part's."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from ftlab.config.groups import DatasetConfig
from ftlab.core.errors import DataError, UserError
from ftlab.data import mixture
from ftlab.data.mixture import MixtureData
from tests.data.making import budget, dataset, jsonl, loading, reviews
from tests.fixtures.checkpoints import tiny
from tests.fixtures.refusals import refused


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tiny("bert"))


def parts(folder: Path) -> dict[str, DatasetConfig]:
    """Return three kinds of data whose texts say of which they are."""
    films = [{**row, "text": f"film {row['text']}"} for row in reviews(40)]
    stars = [{"text": f"star number {n}", "score": n} for n in range(30)]
    tags = [{"text": f"tag number {n}", "labels": [str(n % 2), "all"][: 1 + n % 3 % 2]} for n in range(30)]
    return {
        "films": dataset("classification", {"train": jsonl(folder / "films.jsonl", films)}),
        "stars": dataset("regression", {"train": jsonl(folder / "stars.jsonl", stars)}),
        "tags": dataset("multilabel", {"train": jsonl(folder / "tags.jsonl", tags)}),
    }


def mixed(parts: dict[str, DatasetConfig], **given: Any) -> MixtureData:
    config = DatasetConfig.model_validate(
        {
            "name": "mix",
            "task": "mixture",
            "parts": {name: part.model_dump() for name, part in parts.items()},
            "mixing": given.pop("mixing", {}),
        }
    )
    settings = loading(**{"micro_batch_size": 8, **given})
    return mixture.build_mixture(config, budget=budget(), loading=settings, max_length=config.max_length)


def test_batches_say_of_each_row_which_part_it_is_of(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    data = mixed(parts(tmp_path), mixing={"by": "weights", "weights": {"films": 2, "stars": 1, "tags": 1}})
    data.tokenize(tokenizer, model="tiny", task=data.task)
    data.set_batch_range(batches=5)
    words = [tokenizer(name[:-1])["input_ids"][1] for name in ("films", "stars", "tags")]
    batches = list(data.train_dataloader())
    assert len(batches) == 5
    for batch in batches:
        assert batch["part"].bincount().tolist() == [4, 2, 2]
        assert batch["input_ids"][:, 1].tolist() == [words[part] for part in batch["part"].tolist()]
        assert batch["labels"].shape == (8, max(1, 1, len(data.parts["tags"].task.labels)))
        assert batch["loss_weight"] == 1.0
    for split in ("val", "test"):
        found = [int(part) for batch in getattr(data, f"{split}_dataloader")() for part in batch["part"]]
        assert found == [n for n, part in enumerate(data.parts.values()) for _ in range(part.rows[split])]
        ids = [one for part in data.parts.values() for one in part.example_ids(split)]
        assert data.example_ids(split) == ids
    assert data.probe_batch()["part"].tolist() == [0, 0, 1, 1, 2, 2]


def test_equal_seeds_give_equal_batches(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    def rows(seed: int, start: int = 0) -> list[list[int]]:
        data = mixed(parts(tmp_path), seed=seed)
        data.tokenize(tokenizer, model="tiny", task=data.task)
        data.set_batch_range(batches=12, start=start)
        return [batch["index"].tolist() for batch in data.train_dataloader()]

    assert rows(0) == rows(0)
    assert rows(0, start=5) == rows(0)[5:]
    assert rows(0) != rows(1)


def test_data_that_writes_is_mixed_without_heads(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny("llama"))
    asked = [{"prompt": f"question {n}", "input": "", "response": f"answer {n}"} for n in range(30)]
    told = [{"text": f"The story number {n} goes on and on until it ends."} for n in range(90)]
    data = mixed(
        {
            "asked": dataset("instruction", {"train": jsonl(tmp_path / "asked.jsonl", asked)}),
            "told": dataset("text", {"train": jsonl(tmp_path / "told.jsonl", told)}, max_length=16),
        },
        mixing={"by": "equal"},
    )
    assert (data.task.labels, data.task.output_slice("told")) == ((), slice(None))
    data.tokenize(tokenizer, model="tiny", task=data.task.for_architecture("decoder"))
    data.set_batch_range(batches=2)
    for batch in data.train_dataloader():
        assert batch["part"].bincount().tolist() == [4, 4]
        told_bytes = batch["text_bytes"][batch["part"] == 1]
        assert (batch["text_bytes"][batch["part"] == 0] == 0).all()
        assert (told_bytes > 0).all()


def test_parts_that_cannot_share_a_model_are_refused(tmp_path: Path) -> None:
    words = [{"tokens": ["Anna", f"sings{n}"], "tags": ["B-PER", "O"]} for n in range(30)]
    tagged = dataset("token_classification", {"train": jsonl(tmp_path / "words.jsonl", words)})
    with refused(UserError, "films", "(classification)", "words", "(token_classification)"):
        mixed({"films": parts(tmp_path)["films"], "words": tagged})


def test_an_error_names_the_part(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text(json.dumps({"text": "a", "label": None}) + "\n")
    given = {**parts(tmp_path), "broken": dataset("classification", {"train": str(broken)})}
    with refused(DataError, "dataset.parts.broken: ", "broken.jsonl:1"):
        mixed(given)


def test_regression_targets_and_classes_come_back_as_the_part_has_them(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    data = mixed(parts(tmp_path))
    data.tokenize(tokenizer, model="tiny", task=data.task)
    (batch, *_) = [one for one in data.val_dataloader() if set(one["part"].tolist()) >= {0}]
    alone = next(iter(data.parts["films"].val_dataloader()))
    mine = batch["part"] == 0
    assert torch.equal(batch["labels"][mine][:, 0].long(), alone["labels"][: int(mine.sum())])
