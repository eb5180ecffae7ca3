"""Lines of a job's log."""

from datetime import datetime

import pytest

from ftlab.core.job_log import log_line


def test_a_line_begins_with_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    log_line("training")
    day, time, text = capsys.readouterr().out.split()
    assert abs((datetime.now() - datetime.fromisoformat(f"{day} {time}")).total_seconds()) < 60
    assert text == "training"
