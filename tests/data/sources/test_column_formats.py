"""Column formats that are known by name: the right columns without a setting, and files that break the format."""

from pathlib import Path

import pytest

from ftlab.core.errors import DataError
from ftlab.data.sources.column_formats import format_by_content, numbers_words
from ftlab.data.sources.conll import LineFormat, read, read_conll_file
from tests.fixtures.refusals import refused

LINE = "{}\t{}\t{}\t{}\t{}\t_\t0\troot\t_\t{}\n"
UD = (
    "# text = a\tb\n"
    + LINE.format(1, "Birds", "bird", "NOUN", "NNS", "NER=B-X|SpaceAfter=No")
    + LINE.format("2-3", "don't", "_", "_", "_", "_")
    + LINE.format(2, "do", "do", "AUX", "VB", "_")
    + LINE.format(3, "n't", "not", "PART", "RB", "SpaceAfter=No")
    + LINE.format("3.1", "ghost", "_", "VERB", "_", "_")
    + "\n"
)
WORDS, UPOS = ["Birds", "do", "n't"], ["NOUN", "AUX", "PART"]
PLUS = "# global.columns = ID FORM UPOS PARSEME:MWE\n1\tgo\tVERB\t*\n2\tup\tADP\t1\n"
CONLL2003 = "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n"
GERMEVAL = "#\thttp://example.org [2009]\n1\tBonn\tB-LOC\tO\n2\tist\tO\tO\n3\tSchumann\tB-PER\tB-LOC\n"
GERMEVAL_WORDS = ["Bonn", "ist", "Schumann"]
UNER = "# text = x\n1\tBonn\tB-LOC\t-\tann\n2\tist\tO\t-\tann\n3\tda\tO\t-\tann\n"


def parsed(content: str, path: Path, line_format: LineFormat | None = None) -> tuple[list[str], list[str]]:
    path.write_text(content, encoding="utf-8")
    (row,) = read_conll_file(path, line_format)
    assert not isinstance(row.values, str)
    return row.values["tokens"], row.values["tags"]


@pytest.mark.parametrize(
    ("name", "content", "settings", "words", "tags"),
    [
        ("a.conllu", UD, {}, WORDS, UPOS),
        ("a.txt", UD, {}, WORDS, UPOS),
        ("a.txt", UD, {"format": "conllu"}, WORDS, UPOS),
        ("a.conllu", UD.replace("\t", "  ").replace("# text = a  b\n", ""), {}, WORDS, UPOS),
        ("a.conllu", UD, {"tags": "xpos"}, WORDS, ["NNS", "VB", "RB"]),
        ("a.conllu", UD, {"tokens": "lemma"}, ["bird", "do", "not"], UPOS),
        ("a.conllu", UD, {"tags": "misc.NER"}, WORDS, ["B-X", "O", "O"]),
        ("a.conllx", UD, {}, WORDS, UPOS),
        ("a.conllup", PLUS, {}, ["go", "up"], ["VERB", "ADP"]),
        ("a.txt", PLUS, {"tags": "parseme:mwe"}, ["go", "up"], ["*", "1"]),
        ("a.txt", CONLL2003, {}, ["EU", "rejects"], ["B-ORG", "O"]),
        ("a.txt", CONLL2003, {"tags": "pos"}, ["EU", "rejects"], ["NNP", "VBZ"]),
        ("a.txt", "Bonn B-LOC\nda O\n", {"format": "conll2002", "tags": "ner"}, ["Bonn", "da"], ["B-LOC", "O"]),
        ("a.txt", "Bonn N B-NP\nda V O\n", {"format": "conll2000"}, ["Bonn", "da"], ["B-NP", "O"]),
        ("a.tsv", GERMEVAL, {}, GERMEVAL_WORDS, ["B-LOC", "O", "B-PER"]),
        ("a.tsv", GERMEVAL, {"format": "germeval2014", "tags": "nested"}, GERMEVAL_WORDS, ["O", "O", "B-LOC"]),
        ("a.iob2", UNER, {}, ["Bonn", "ist", "da"], ["B-LOC", "O", "O"]),
        ("a.txt", "1\ta\tX\n2\tb\tY\n3\tc\tX\n", {}, ["a", "b", "c"], ["X", "Y", "X"]),
        ("a.txt", UD.replace("3\tn't", "7\tn't").replace("a\tb", ""), {"tokens": "form", "tags": "upos"}, WORDS, UPOS),
        ("a.txt", "1 NUM\n7 NUM\nx X\n", {}, ["1", "7", "x"], ["NUM", "NUM", "X"]),
    ],
)  # fmt: skip
def test_words_and_tags_are_those_of_the_format(
    name: str, content: str, settings: dict[str, str], words: list[str], tags: list[str], tmp_path: Path
) -> None:
    assert parsed(content, tmp_path / name, LineFormat(**settings)) == (words, tags)


@pytest.mark.parametrize(
    ("name", "content", "settings", "culprits"),
    [
        ("a.conllu", UD.replace("2\tdo\tdo", "2\tdo"), {}, ("a.conllu:4", "9", "10")),
        ("a.conllu", "1\ta\tNOUN\n2\tb\tVERB\n", {}, ("a.conllu:1", "3", "10", "CoNLL-U")),
        ("a.conllup", "1\ta\tNOUN\n", {}, ("a.conllup:1", "global.columns")),
        ("a.conllu", UD, {"tags": "pos"}, ("dataset.source.tags=pos", "upos")),
        ("a.txt", "a B-X\n", {"format": "conll2003"}, ("a.txt:1", "CoNLL-2003", "2", "4 or 5")),
        ("a.txt", "#begin document (x); part 000\nbc 0 0 The DT\n", {}, ("a.txt", "CoNLL-2012")),
        ("a.tsv", GERMEVAL.replace("B-", "X"), {}, ("a.tsv:2", "dataset.source.tokens", "dataset.source.tags")),
    ],
)
def test_a_file_that_breaks_its_format_is_named(
    name: str, content: str, settings: dict[str, str], culprits: tuple[str, ...], tmp_path: Path
) -> None:
    with refused(DataError, *culprits):
        parsed(content, tmp_path / name, LineFormat(**settings))


def test_an_unknown_format_is_refused_before_the_file_is_read() -> None:
    with refused(DataError, "dataset.source.format=conlu", "conllu"):
        read("nowhere.txt", format="conlu")


def test_words_are_numbered_only_if_each_sentence_counts_from_one() -> None:
    assert numbers_words(["# x", "1 a", "2 b", "2.1 c", "", "1 d"])
    assert not numbers_words(["1 a", "2 b", "4 c"])
    assert not numbers_words(["1 a", "2 b"])
    assert format_by_content(Path("a.txt"), ["a B-X", "b O"]) is None


def test_a_known_format_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.conllu").write_text(UD, encoding="utf-8")
    (note,) = read(str(tmp_path / "a.conllu"))["train"].notes  # type: ignore[attr-defined]
    assert all(fact in note for fact in ("CoNLL-U", "form", "upos"))
