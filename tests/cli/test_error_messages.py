"""Errors of the system as sentences of ftlab."""

import os
from pathlib import Path

import pytest

from ftlab.cli.error_messages import as_user_error


def test_a_name_that_is_too_long_has_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long") as raised:
        os.mkdir(tmp_path / ("x" * 300))
    told = str(as_user_error(raised.value))
    assert told.startswith("cannot use ")
    assert told.endswith("File name too long, so give a shorter one.")
