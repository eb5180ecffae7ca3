"""Fixtures of the tests of the configuration."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.user_kinds import WriteKind, users_kinds


@pytest.fixture
def write_kind(tmp_path: Path) -> Iterator[WriteKind]:
    """Writer of task kinds of a user's own, in the working directory."""
    with users_kinds(tmp_path) as write:
        yield write
