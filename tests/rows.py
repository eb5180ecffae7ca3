"""A few local rows in every format that a preset may ask for."""

import csv
import json
from pathlib import Path

from tests.tiny import TEXT

_LINES = TEXT.strip().splitlines()


def classification_csv(path: Path, count: int = 120) -> Path:
    """Write texts with two labels that can be told apart."""
    lines = [line for line in _LINES if line.isascii()]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for number in range(count):
            kind = number % len(lines)
            writer.writerow([f"{lines[kind]} {number}", "money" if kind < 5 else "other"])
    return path


def answered_jsonl(path: Path, count: int = 120) -> Path:
    """Write texts with labels (none of every third), a score, and two more numbers."""
    lines = [line for line in _LINES if line.isascii()]
    with path.open("w", encoding="utf-8") as stream:
        for number in range(count):
            labels = [name for name in ("even", "third") if number % (2 if name == "even" else 3) == 0]
            row = {"text": f"{lines[number % len(lines)]} {number}", "labels": labels, "score": number, "low": -number}
            stream.write(json.dumps(row) + "\n")
    return path


def instructions_jsonl(path: Path, count: int = 120) -> Path:
    """Write instructions with an input and an answer, English and Chinese."""
    with path.open("w", encoding="utf-8") as stream:
        for number in range(count):
            row = {"instruction": f"翻译 {number}", "input": "今天天气很好。", "output": "The weather is nice today."}
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


def plain_text(path: Path, count: int = 40) -> Path:
    """Write documents, parted by blank lines."""
    documents = [f"{number}\n" + "\n".join(_LINES) for number in range(count)]
    path.write_text("\n\n".join(documents), encoding="utf-8")
    return path


def words_and_tags(path: Path, count: int = 120) -> Path:
    """Write sentences with two types of entities, a word and its tag a line."""
    lines = [line.replace(".", " .").split() for line in _LINES if line.isascii()][:10]
    kinds = {"London": "LOC", "Berlin": "LOC", "Monday": "DATE", "Friday": "DATE", "Sunday": "DATE"}
    with path.open("w", encoding="utf-8") as stream:
        for number in range(count):
            for word in [*lines[number % len(lines)], str(number)]:
                stream.write(f"{word}\t{f'B-{kinds[word]}' if word in kinds else 'O'}\n")
            stream.write("\n")
    return path
