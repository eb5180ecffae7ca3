"""Files with a word a line: what is read from them, and what is wrong with them, by file and line."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.core.errors import DataError
from ftlab.data.sources.conll import LineFormat, parse_sentences, read, read_conll_file
from tests.fixtures.refusals import refused

NAMES = "EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\nPeter NNP B-NP B-PER\n"
SENTENCES = [(["EU", "rejects"], ["B-ORG", "O"]), (["Peter"], ["B-PER"])]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def sentences(
    content: str | bytes, folder: Path, layout: LineFormat | None = None
) -> list[tuple[list[str], list[str]]]:
    rows = read_conll_file(write(folder / "a.conll", content), layout)
    return [(row.values["tokens"], row.values["tags"]) for row in rows]


@pytest.mark.parametrize("text", ["我/O 在/O 北/B-LOC\n", "The/DT 1/2/CD cat/NN\n\nNo/UH\n"])
def test_tags_after_a_slash_are_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    with refused(DataError, "a.txt", "slash", "awk"):
        read(str(tmp_path / "a.txt"))


@pytest.mark.parametrize(
    "content",
    [
        NAMES,
        NAMES.replace(" ", "\t"),
        NAMES.replace("\n", "\r\n"),
        b"\xef\xbb\xbf" + NAMES.encode(),
        NAMES.rstrip(),
        f"\n\n-DOCSTART- -X- -X- O\n\n{NAMES}\n\n\n",
        NAMES.replace("\n\n", "\n-DOCSTART- -X- O O\n"),
        NAMES.replace(" ", "\t").replace("\n\n", "\n \t\t\n"),  # blank but for separators, as in WNUT-17
        f"# id = 1\n{NAMES}".replace(" ", "\t").replace("#\tid\t=\t1", "# id = 1"),
    ],
)
def test_every_way_to_write_them_gives_the_same_sentences(content: str | bytes, tmp_path: Path) -> None:
    assert sentences(content, tmp_path) == SENTENCES


def test_gz_latin_1_and_splits(tmp_path: Path) -> None:
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress("Köln\tB-LOC\n\nist\tO\n".encode("latin-1")))
    splits = read(str(tmp_path / "a.tsv.gz"), test=str(write(tmp_path / "b.tsv", "x\tO\n")))
    assert set(splits) == {"train", "test"}
    rows = list(splits["train"])
    assert [row.values["tokens"] for row in rows] == [["Köln"], ["ist"]]
    assert rows[1].where == "a.tsv.gz:3"


def test_a_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    raw = gzip.compress(NAMES.encode() * 100)
    with refused(DataError, "a.conll.gz", "end-of-stream"):
        read_conll_file(write(tmp_path / "a.conll.gz", raw[:-20]))


@pytest.mark.parametrize(
    ("layout", "tags"),
    [
        (LineFormat(tags=1), ["NNP", "VBZ"]),
        (LineFormat(tags=-2), ["B-NP", "B-VP"]),
        (LineFormat(names=["word", "pos", "chunk", "ner"], tags="chunk", tokens="word"), ["B-NP", "B-VP"]),
    ],
)
def test_columns_by_number_and_by_name(layout: LineFormat, tags: list[str], tmp_path: Path) -> None:
    assert sentences(NAMES, tmp_path, layout)[0] == (["EU", "rejects"], tags)


def test_conll_u_names_its_columns_and_has_lines_that_are_no_words(tmp_path: Path) -> None:
    line = "{}\t{}\t_\t{}\t_\t_\t0\t_\t_\t_\n"
    text = "# text = don't go\n" + line.format("1-2", "don't", "_") + line.format(1, "do", "AUX")
    text += line.format(2, "n't", "PART") + line.format("2.1", "then", "ADV") + line.format(3, "go", "VERB")
    layout = LineFormat(tokens="form", tags="upos")
    assert sentences(text, tmp_path, layout) == [(["do", "n't", "go"], ["AUX", "PART", "VERB"])]
    plus = "# global.columns = FORM UPOS\ngo\tVERB\n"
    assert sentences(plus, tmp_path, layout) == [(["go"], ["VERB"])]
    with refused(DataError, "dataset.source.tags=ner", "a.conll", "form"):
        sentences(plus, tmp_path, LineFormat(tags="ner"))


def test_a_hash_is_a_word_too(tmp_path: Path) -> None:
    assert sentences("#\tO\nwin\tO\n", tmp_path) == [(["#", "win"], ["O", "O"])]
    assert sentences("# O\nwin O\n", tmp_path) == [(["#", "win"], ["O", "O"])]
    assert sentences("# O\nwin O\n", tmp_path, LineFormat(comment="#")) == [(["win"], ["O"])]


def test_what_is_no_part_of_the_word_is_cut(tmp_path: Path) -> None:
    assert sentences("科0\tO\n技1\tO\n", tmp_path, LineFormat(cut="[0-9]$")) == [(["科", "技"], ["O", "O"])]


def test_an_ideographic_space_is_a_word(tmp_path: Path) -> None:
    assert sentences("a\tO\n\u3000\tO\nb\tO\n", tmp_path)[0][0] == ["a", "\u3000", "b"]


@pytest.mark.parametrize(
    ("content", "culprits"),
    [
        ("a\tO\nb\nc\tO\n", ("a.conll:2: 1", "have 2")),
        ("a O\nb x O\nc O\n", ("a.conll:2: 3", "have 2")),
        ("a\tO\nb\t\nc\tO\n", ("a.conll:2", "tag")),
        ("a\tB-X\nb\tO\nc\tPER\n", ("a.conll:3", "'c'", "'PER'", "O", "B-")),
        ("a\nb\n", ("a.conll:1", "column 0", "dataset.source.tokens")),
        ("\n\n", ("a.conll", "sentences")),
        ("", ("a.conll", "sentences")),
    ],
)
def test_what_is_broken_is_named(content: str, culprits: tuple[str, ...], tmp_path: Path) -> None:
    with refused(DataError, *culprits):
        sentences(content, tmp_path)


@pytest.mark.parametrize(
    ("settings", "culprits"),
    [
        ({"separator": "tabs"}, ("dataset.source.separator='tabs'", "mean tab?")),
        ({"cut": "["}, ("dataset.source.cut='['", "regular expression")),
        ({"tags": 4}, ("dataset.source.tags=4", "a.conll", "4 columns", "0 to 3", "-1 to -4")),
        ({"tags": "ner"}, ("dataset.source.tags=ner", "a.conll", "names")),
        ({"tags": "nr", "names": ["w", "p", "c", "ner"]}, ("dataset.source.tags=nr", "a.conll", "mean ner?")),
    ],
)
def test_what_is_set_wrong_is_named(settings: dict[str, object], culprits: tuple[str, ...], tmp_path: Path) -> None:
    with refused(DataError, *culprits):
        read(str(write(tmp_path / "a.conll", NAMES)), **settings)


WORD = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\t"), min_size=1).filter(str.strip)
SENTENCE = st.lists(st.tuples(WORD, st.sampled_from(["O", "B-X", "I-X"])), min_size=1, max_size=5)


@given(st.lists(SENTENCE, min_size=1, max_size=5))
def test_what_is_written_is_read(content: list[list[tuple[str, str]]]) -> None:
    text = "\n\n".join("\n".join(f"{word}\t{tag}" for word, tag in sentence) for sentence in content)
    if "-DOCSTART-" in text:
        return
    rows = parse_sentences(text, Path("a"), LineFormat(separator="tab"))
    assert [[*zip(row.values["tokens"], row.values["tags"], strict=True)] for row in rows] == [
        [(word, tag) for word, tag in sentence] for sentence in content
    ]
    lines = text.split("\n")
    assert [lines[int(row.where.partition(":")[2]) - 1].partition("\t")[0] for row in rows] == [
        sentence[0][0] for sentence in content
    ]
