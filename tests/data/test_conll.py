"""Files with a word a line: what is read from them, and what is wrong with them, by file and line."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.data.conll import Layout, parse, read, read_file
from ftlab.errors import DataError

NAMES = "EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\nPeter NNP B-NP B-PER\n"
SENTENCES = [(["EU", "rejects"], ["B-ORG", "O"]), (["Peter"], ["B-PER"])]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def sentences(content: str | bytes, folder: Path, layout: Layout | None = None) -> list[tuple[list[str], list[str]]]:
    rows = read_file(write(folder / "a.conll", content), layout)
    return [(row.values["tokens"], row.values["tags"]) for row in rows]


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
    with pytest.raises(DataError, match=r"a\.conll\.gz breaks off or is damaged"):
        read_file(write(tmp_path / "a.conll.gz", raw[:-20]))


@pytest.mark.parametrize(
    ("layout", "tags"),
    [
        (Layout(tags=1), ["NNP", "VBZ"]),
        (Layout(tags=-2), ["B-NP", "B-VP"]),
        (Layout(names=["word", "pos", "chunk", "ner"], tags="chunk", tokens="word"), ["B-NP", "B-VP"]),
    ],
)
def test_columns_by_number_and_by_name(layout: Layout, tags: list[str], tmp_path: Path) -> None:
    assert sentences(NAMES, tmp_path, layout)[0] == (["EU", "rejects"], tags)


def test_conll_u_names_its_columns_and_has_lines_that_are_no_words(tmp_path: Path) -> None:
    line = "{}\t{}\t_\t{}\t_\t_\t0\t_\t_\t_\n"
    text = "# text = don't go\n" + line.format("1-2", "don't", "_") + line.format(1, "do", "AUX")
    text += line.format(2, "n't", "PART") + line.format("2.1", "then", "ADV") + line.format(3, "go", "VERB")
    layout = Layout(tokens="form", tags="upos")
    assert sentences(text, tmp_path, layout) == [(["do", "n't", "go"], ["AUX", "PART", "VERB"])]
    plus = "# global.columns = FORM UPOS\ngo\tVERB\n"
    assert sentences(plus, tmp_path, layout) == [(["go"], ["VERB"])]
    with pytest.raises(DataError, match=r"dataset\.source\.tags=ner is no column of .*a\.conll: .*form"):
        sentences(plus, tmp_path, Layout(tags="ner"))


def test_a_hash_is_a_word_too(tmp_path: Path) -> None:
    assert sentences("#\tO\nwin\tO\n", tmp_path) == [(["#", "win"], ["O", "O"])]
    assert sentences("# O\nwin O\n", tmp_path) == [(["#", "win"], ["O", "O"])]
    assert sentences("# O\nwin O\n", tmp_path, Layout(comment="#")) == [(["win"], ["O"])]


def test_what_is_no_part_of_the_word_is_cut(tmp_path: Path) -> None:
    assert sentences("科0\tO\n技1\tO\n", tmp_path, Layout(cut="[0-9]$")) == [(["科", "技"], ["O", "O"])]


def test_an_ideographic_space_is_a_word(tmp_path: Path) -> None:
    assert sentences("a\tO\n\u3000\tO\nb\tO\n", tmp_path)[0][0] == ["a", "\u3000", "b"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a\tO\nb\nc\tO\n", r"a\.conll:2: 1 columns where the other lines have 2: mend the line"),
        ("a O\nb x O\nc O\n", r"a\.conll:2: 3 columns where the other lines have 2"),
        ("a\tO\nb\t\nc\tO\n", r"a\.conll:2: this word has no tag"),
        ("a\tB-X\nb\tO\nc\tPER\n", r"a\.conll:3: 'c' has the tag 'PER', where others mark entities: write O, or B-"),
        ("a\nb\n", r"a\.conll:1: words and tags are both in column 0 of 1: set dataset\.source\.tokens"),
        ("\n\n", r"a\.conll holds no sentences"),
        ("", r"a\.conll holds no sentences"),
    ],
)
def test_what_is_broken_is_named(content: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=sentence):
        sentences(content, tmp_path)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"separator": "tabs"}, r"dataset\.source\.separator='tabs' is not valid: did you mean tab"),
        ({"cut": "["}, r"dataset\.source\.cut='\[' is no regular expression"),
        ({"tags": 4}, r"dataset\.source\.tags=4: .* has 4 columns, 0 to 3 from the left, or -1 to -4"),
        ({"tags": "ner"}, r"dataset\.source\.tags=ner is no column of .*: its columns have no names"),
        ({"tags": "nr", "names": ["w", "p", "c", "ner"]}, r"tags=nr is no column of .*: did you mean ner"),
    ],
)
def test_what_is_set_wrong_is_named(settings: dict[str, object], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=sentence):
        read(str(write(tmp_path / "a.conll", NAMES)), **settings)


WORD = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\t"), min_size=1).filter(str.strip)
SENTENCE = st.lists(st.tuples(WORD, st.sampled_from(["O", "B-X", "I-X"])), min_size=1, max_size=5)


@given(st.lists(SENTENCE, min_size=1, max_size=5))
def test_what_is_written_is_read(content: list[list[tuple[str, str]]]) -> None:
    text = "\n\n".join("\n".join(f"{word}\t{tag}" for word, tag in sentence) for sentence in content)
    if "-DOCSTART-" in text:
        return
    rows = parse(text, Path("a"), Layout(separator="tab"))
    assert [[*zip(row.values["tokens"], row.values["tags"], strict=True)] for row in rows] == [
        [(word, tag) for word, tag in sentence] for sentence in content
    ]
    lines = text.split("\n")
    assert [lines[int(row.where.partition(":")[2]) - 1].partition("\t")[0] for row in rows] == [
        sentence[0][0] for sentence in content
    ]
