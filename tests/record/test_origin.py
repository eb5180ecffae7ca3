"""Origin of weights, as an exported folder and a record say it."""

import os
from pathlib import Path

import pytest

from ftlab.core.errors import UserError
from ftlab.record import Origin, Parent, Provenance, Tool
from ftlab.record.origin import read_provenance, write_provenance
from tests.fixtures.refusals import refused

PARENT = Parent(run_id="sweep-lora-s0", fingerprint="ab12", method="lora", model="minilm")


def test_what_an_exported_folder_says_is_read_again(tmp_path: Path) -> None:
    assert read_provenance(tmp_path) is None
    provenance = Provenance(parent=PARENT, tool=Tool(name="ftlab", version="0.1"))
    write_provenance(tmp_path, provenance)
    assert read_provenance(tmp_path) == provenance


def test_a_pipe_of_that_name_says_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ftlab.json")
    assert read_provenance(tmp_path) is None


def test_what_a_later_version_adds_is_left_out(tmp_path: Path) -> None:
    text = '{"tool": {"name": "ftlab", "licence": "MIT"}, "created_at": "2027-01-01"}'
    (tmp_path / "ftlab.json").write_text(text, encoding="utf-8")
    assert read_provenance(tmp_path) == Provenance(tool=Tool(name="ftlab"))


@pytest.mark.parametrize(
    "text", ["", "[]", '{"tool": "ftlab"}', '{"tool": {}}', "\udc80", " " * 20_000 + '{"tool": {}}']
)
def test_a_file_of_another_kind_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "ftlab.json").write_bytes(text.encode(errors="surrogateescape"))
    with refused(UserError, "ftlab.json", "export"):
        read_provenance(tmp_path)


def test_an_origin_in_words() -> None:
    continued = Origin(kind="continued", parent=PARENT, tool=Tool(name="ftlab", version="0.1"))
    assert str(continued) == "continued from sweep-lora-s0 (lora on minilm), by ftlab 0.1"
    assert str(Origin(kind="foreign", tool=Tool(name="axolotl"))) == "foreign, by axolotl"
