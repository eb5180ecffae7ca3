"""Files of a cache are compared with their checksums once per command; a note is trusted only while it is whole."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ftlab.core import checksums
from ftlab.core.checksums import begin_command, damaged_file, is_checked, noted_sha256, write_checksums


@pytest.fixture(autouse=True)
def _no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTLAB_COMMAND_STARTED", "0")  # restored at the end, whatever `begin_command` does


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "entry"
    (folder / "deep").mkdir(parents=True)
    (folder / "weights").write_bytes(bytes(range(256)))
    (folder / "deep" / "empty").touch()
    write_checksums(folder)
    return folder


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read to be hashed."""
    names: list[str] = []
    plain = checksums.sha256_of_file
    monkeypatch.setattr(checksums, "sha256_of_file", lambda path: (names.append(path.name), plain(path))[1])
    return names


def flip(path: Path) -> None:
    """Change one bit, and keep size and modification time, as a bad disk does."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_files_are_read_once_per_command(folder: Path, notes: Path, reads: list[str]) -> None:
    assert not is_checked(folder, notes)
    assert damaged_file(folder, notes) is None
    assert sorted(reads) == ["empty", "weights"]
    reads.clear()
    assert is_checked(folder, notes)
    begin_command()
    assert not is_checked(folder, notes)
    assert damaged_file(folder, notes) is None
    assert is_checked(folder, notes)
    assert sorted(reads) == ["empty", "weights"]


HARMS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit": (lambda folder: flip(folder / "weights"), "weights"),
    "cut": (lambda folder: os.truncate(folder / "weights", 100), "weights"),
    "gone": (lambda folder: (folder / "weights").unlink(), "weights"),
    "no longer empty": (lambda folder: (folder / "deep" / "empty").write_text("x"), "deep/empty"),
    "checksums cut": (lambda folder: os.truncate(folder / ".checksums.json", 20), ".checksums.json"),
    "a bit of the checksums": (lambda folder: flip(folder / ".checksums.json"), ".checksums.json"),
    "checksums of no files": (lambda folder: (folder / ".checksums.json").write_text("[]"), ".checksums.json"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_damage_is_noticed_after_a_check(harm: str, folder: Path, notes: Path) -> None:
    assert damaged_file(folder, notes) is None
    change, name = HARMS[harm]
    change(folder)
    assert not is_checked(folder, notes)
    assert damaged_file(folder, notes) == name


def test_without_checksums_a_folder_is_older_or_damaged(folder: Path, notes: Path) -> None:
    (folder / ".checksums.json").unlink()
    assert damaged_file(folder, notes, may_lack_checksums=False) == ".checksums.json"
    assert damaged_file(folder, notes) is None
    flip(folder / "weights")
    assert damaged_file(folder, notes) == "weights"


NOTES: dict[str, Callable[[str], str]] = {
    "empty": lambda text: "",
    "cut": lambda text: text[:-5],
    "no JSON": lambda text: "\0" * len(text),
    "another hash": lambda text: json.dumps([(note := json.loads(text))[0], "0" * 64, *note[2:]]),
    "a list of nothing": lambda text: "[]",
    "as older versions wrote it": lambda text: json.loads(text)[1],
}


@pytest.mark.parametrize("change", NOTES)
def test_a_note_that_is_not_whole_is_none(change: str, tmp_path: Path, notes: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"weights")
    digest = noted_sha256(file, notes)
    (note,) = notes.iterdir()
    note.write_text(NOTES[change](note.read_text()))
    assert noted_sha256(file, notes) == digest
    assert json.loads(note.read_text())[1] == digest


def test_a_content_is_read_again_by_whom_it_matters(tmp_path: Path, notes: Path, reads: list[str]) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"weights")
    noted_sha256(file, notes)
    begin_command()
    noted_sha256(file, notes)
    assert len(reads) == 1
    for _ in range(2):
        noted_sha256(file, notes, once_per_command=True)
    assert len(reads) == 2


def test_notes_that_cannot_be_written_are_done_without(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert damaged_file(folder, tmp_path / "file") is None
    assert not is_checked(folder, tmp_path / "file")
