"""Finished runs of tiny models, made once for all tests that ask for the same."""

import atexit
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from ftlab.run import run
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.rows import answered_jsonl, classification_csv, instructions_jsonl, plain_text, words_and_tags

FILES = {
    "text_files": "rows.csv",
    "multilabel_files": "answered.jsonl",
    "regression_files": "answered.jsonl",
    "instruction_files": "rows.jsonl",
    "plain_text_files": "rows.txt",
    "token_files": "rows.conll",
}


@cache
def _folder() -> Path:
    folder = Path(mkdtemp(prefix="ftlab-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    classification_csv(folder / "rows.csv")
    answered_jsonl(folder / "answered.jsonl")
    instructions_jsonl(folder / "rows.jsonl")
    plain_text(folder / "rows.txt")
    words_and_tags(folder / "rows.conll")
    return folder


@cache
def finished(kind: str, dataset: str, *overrides: str) -> Path:
    """Return the folder of a run of a few steps."""
    folder = _folder()
    directory = Path(mkdtemp(prefix="run-", dir=folder))
    settings = ["model=hf", f"model.name={tiny(kind)}", f"dataset={dataset}", "tracker=none", "budget=smoke"]
    config = composed(*settings, f"dataset.source.train={folder / FILES[dataset]}", "budget.max_length=64", *overrides)
    assert run(config, directory, []).status == "completed"
    return directory
