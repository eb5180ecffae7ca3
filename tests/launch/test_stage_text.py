"""Words for what a run does."""

from pathlib import Path

import pytest

from ftlab.launch.stage_text import join_parts, stage_parts
from ftlab.record import Progress, StageProgress
from ftlab.train.recorder import new_record
from tests.fixtures.compose import composed

PROGRESS = Progress(step=12, steps=40, loss=0.53124)


@pytest.mark.parametrize(
    ("stage", "progress", "parts"),
    [
        (None, None, ["loading"]),
        (None, PROGRESS, ["step 12/40"]),  # of an older version
        (StageProgress(name="loading"), None, ["loading"]),
        (
            StageProgress(name="training", done=12, total=40, left_s=80.4),
            PROGRESS,
            ["training 12/40", "(0:01:20 left)", "loss 0.5312"],
        ),
        (StageProgress(name="writing answers", done=3, total=16), PROGRESS, ["writing answers 3/16"]),
        (StageProgress(name="a stage of later", done=3), PROGRESS, ["a stage of later"]),
    ],
)
def test_stages_in_words(stage: StageProgress | None, progress: Progress | None, parts: list[str]) -> None:
    record = new_record(composed(), Path("sweep/run"), [])
    assert stage_parts(record.model_copy(update={"stage": stage, "progress": progress})) == parts


def test_the_time_left_is_that_of_the_stage() -> None:
    assert (
        join_parts(["training 12/40", "(0:01:20 left)", "loss 0.5312"]) == "training 12/40 (0:01:20 left), loss 0.5312"
    )
    assert join_parts(["loading"]) == "loading"
