"""Pairs of files by name, of which line n of one has the words of a sentence, and line n of the other their tags."""

from pathlib import Path

# ATIS and SNIPS, and Stanford's course CS230.
FILE_PAIRS = (("seq.in", "seq.out"), ("sentences.txt", "labels.txt"), ("sentences.txt", "tags.txt"))


def paired_files(path: Path) -> list[Path]:
    """Return the existing files that may belong to this one: they have the other names of its pairs."""
    names = sorted({name for pair in FILE_PAIRS if path.name in pair for name in pair} - {path.name})
    return [path.with_name(name) for name in names if path.with_name(name).is_file()]
