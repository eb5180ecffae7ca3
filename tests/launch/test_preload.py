"""Imports of the process that jobs are forked from: those of all jobs, and those of some."""

import subprocess
import sys
from pathlib import Path

import pytest

from ftlab.launch.executor import Job
from ftlab.launch.local import modules_to_preload
from tests.fixtures.compose import composed

_SLOW_TO_IMPORT = ("nltk", "rouge_score", "seqeval", "sklearn")


@pytest.mark.parametrize(
    ("overrides", "more"),
    [
        ((), []),
        (("dataset=wnut_17",), ["ftlab.data.token_classification", "seqeval.metrics"]),
        (("dataset=chatterbot", "model=smollm2-135m"), ["ftlab.data.instruction", "ftlab.tasks.text_metrics"]),
        (("dataset=chatterbot", "model=smollm2-135m", "dataset.generate.rows=0"), ["ftlab.data.instruction"]),
    ],
)
def test_metrics_that_take_long_to_import_are_there_where_a_job_needs_them(
    overrides: tuple[str, ...], more: list[str]
) -> None:
    jobs = [Job(composed(), Path("one"), []), Job(composed(*overrides), Path("other"), [])]
    assert modules_to_preload(jobs) == ["ftlab.data.classification", *more]


@pytest.mark.slow  # all imports anew
def test_jobs_find_what_they_need_and_no_more_and_their_progress_bars_leave_no_semaphore_behind() -> None:
    code = (
        "import multiprocessing; multiprocessing.set_start_method('forkserver')  # as jobs have it\n"
        "import sys, ftlab.launch.preload; print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
        "from multiprocessing.resource_tracker import _resource_tracker as tracker; from ftlab.launch import worker; "
        "worker._import_run(None); from tqdm.auto import tqdm; list(tqdm(range(2))); print(tracker._fd)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    modules, semaphores = told.splitlines()
    there = modules.split()
    assert {"torch", "lightning", "transformers", "peft", "ftlab", "pandas"} <= set(there)
    assert not set(_SLOW_TO_IMPORT) & set(there)
    assert semaphores == "None"
