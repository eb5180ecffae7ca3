"""A data set from files is called by its file, so that two of them are two."""

from pathlib import Path
from typing import Any

import pytest

from ftlab.config.dataset_name import name_of_files
from ftlab.config.fingerprint import config_hash
from ftlab.sweeps.jobs import run_name
from tests.fixtures.compose import composed


@pytest.mark.parametrize(
    ("train", "name"),
    [
        ("reviews.csv", "reviews"),
        ("/data/a.b/reviews.jsonl.gz", "reviews"),
        ("corpora/polemo", "polemo"),
        ("评论.csv", "评论"),
        ("~/tickets/train.csv", "tickets"),
        ("train.csv", "train"),
        ("/srv/tickets/data/train.csv", "tickets"),
        ("../tickets/data/Train/*.csv", "tickets"),
        ("/data/train.csv", "data"),
        ("shards/part-*.parquet", "shards"),
        ("part-*.parquet", "part"),
        ("corpora/polemo/**/*.csv", "polemo"),
        ("../train.csv", "train"),
        (["logs/a.csv", "logs/b.csv"], "logs"),
        (["x/a.csv", "y/b.csv"], "a"),
        ({"source": "de-en/corpus.de", "target": "de-en/corpus.en"}, "de-en"),
        (None, None),
        ([], "files"),
        (3, "3"),
    ],
)
def test_the_name_is_that_of_the_file_or_its_folder(train: Any, name: str | None) -> None:
    assert name_of_files(train) == name


def test_two_files_have_two_names_and_a_name_that_was_given_counts(tmp_path: Path) -> None:
    for name in ("reviews", "tickets"):
        (tmp_path / f"{name}.csv").write_text("text,label\na,b\n")
    settings = ("dataset=text_files", f"dataset.source.train={tmp_path}/reviews.csv")
    reviews, tickets = composed(*settings), composed(*settings[:1], f"dataset.source.train={tmp_path}/tickets.csv")
    assert (reviews.dataset.name, tickets.dataset.name) == ("reviews", "tickets")
    assert "-reviews-s0-" in run_name(reviews)
    named = composed(*settings, "dataset.name=text_files")
    assert named.dataset.name == "text_files"
    assert config_hash(named) == config_hash(reviews), "the name is no part of what a run is"
    assert composed("dataset=sst2").dataset.name == "sst2"


def test_the_folder_of_a_run_has_a_name_that_file_systems_take(tmp_path: Path) -> None:
    """Such names are cut where they are longest, whole characters only; names that fit stay as they are."""
    stem = "很长的数据集名字" * 10
    (tmp_path / f"{stem}.csv").write_text("text,label\na,b\n")
    config = composed("dataset=text_files", f"dataset.source.train='{tmp_path}/{stem}.csv'")
    name = run_name(config)
    assert len(name.encode()) <= 200
    method, model, dataset, seed, digest = name.split("-")
    assert (method, model, seed, digest) == ("lora", "minilm", "s0", config_hash(config)[:8])
    assert stem.startswith(dataset)
    assert len(dataset) > 50
