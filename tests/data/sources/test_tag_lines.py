"""Parallel files of words and tags, as in ATIS and SNIPS."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.core.errors import DataError
from ftlab.data.sources.conll import read
from ftlab.data.sources.tag_lines import read_tag_lines, tag_line_files
from tests.data.making import build, dataset
from tests.fixtures.refusals import refused


def write(folder: Path, words: str, tags: str, names: tuple[str, str] = ("seq.in", "seq.out")) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in zip(names, (words, tags), strict=True):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def specs(folder: Path) -> list[Any]:
    words, tags = str(folder / "seq.in"), str(folder / "seq.out")
    return [str(folder), words, tags, {"tokens": words, "tags": tags}]


def test_a_folder_one_of_its_files_and_both_are_the_same(tmp_path: Path) -> None:
    folder = write(tmp_path / "train", "play  jazz\n\nbook it\n", "O B-genre\n\nO O\n")
    for spec in specs(folder):
        rows = [row.values for row in read(spec)["train"]]
        assert rows == [
            {"tokens": ["play", "jazz"], "tags": ["O", "B-genre"]},
            {"tokens": ["book", "it"], "tags": ["O", "O"]},
        ]
    other = write(tmp_path / "other", "a b\n", "O O\n", ("sentences.txt", "labels.txt"))
    assert [row.values["tokens"] for row in read(str(other))["train"]] == [["a", "b"]]


def test_lines_of_unequal_length_are_named(tmp_path: Path) -> None:
    lines = [f"play {n}\n" for n in range(30)]
    folder = write(tmp_path / "train", "".join(lines) + "a b\n", "B-x O\n" * 30 + "O\n")
    config = {"_target_": "ftlab.data.sources.conll.read", "train": str(folder)}
    with refused(DataError, "seq.in+seq.out:31", "2 tokens", "1 tags"):
        build(dataset("token_classification", config))
    assert build(dataset("token_classification", config, on_bad_rows="skip")).dropped == {"unequal lists": 1}
    write(tmp_path / "train", "a b\nc\n", "O O\n")
    with refused(DataError, "seq.in has 2", "seq.out has 1"):
        [*read(str(folder))["train"]]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "seq.in").write_text("a b\n", encoding="utf-8")
    for spec, culprits in (
        (str(tmp_path), (str(tmp_path), "seq.out")),
        (str(tmp_path / "seq.in"), ("seq.in", "seq.out")),
        ({"text": "seq.in", "tags": "seq.out"}, ("tokens", "text")),
    ):
        with refused(DataError, *culprits):
            tag_line_files(spec)
    assert tag_line_files("a.conll") is None


PAIRS = st.lists(
    st.tuples(st.text("aé北-", min_size=1, max_size=4), st.sampled_from(["O", "B-X"])), min_size=1, max_size=4
)


@given(st.lists(PAIRS, min_size=1, max_size=4))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[list[tuple[str, str]]]
) -> None:
    lines = [["".join(f"{pair[n]} " for pair in sentence) for sentence in sentences] for n in (0, 1)]
    folder = write(tmp_path_factory.mktemp("pairs"), *("\n".join(column) + "\n" for column in lines))
    rows = read_tag_lines({"tokens": folder / "seq.in", "tags": folder / "seq.out"}, None)
    assert [[*zip(row.values["tokens"], row.values["tags"], strict=True)] for row in rows] == sentences  # type: ignore[union-attr]
