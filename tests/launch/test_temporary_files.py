"""Temporary files of a job are in a folder of its own, which is removed."""

import os
import tempfile
from pathlib import Path

import pytest

from ftlab.launch.temporary_files import own_temporary_files, shared_caches


def test_what_is_left_is_removed_and_what_was_holds_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    compiled = shared_caches()["TORCHINDUCTOR_CACHE_DIR"]
    with own_temporary_files():
        left = Path(tempfile.mkdtemp())
        (left / "rest").touch()
        assert left.parent == Path(os.environ["TMPDIR"]) != tmp_path
        assert shared_caches()["TORCHINDUCTOR_CACHE_DIR"] == compiled
        assert not Path(compiled).is_relative_to(left.parent)
    assert not list(tmp_path.iterdir())
    assert os.environ["TMPDIR"] == str(tmp_path)
    assert Path(tempfile.gettempdir()) == tmp_path
