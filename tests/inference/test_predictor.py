"""Predictor: typed answers, the same at every call, and what is refused before a model is loaded."""

import json
import os
import shutil
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.utils import logging as transformers_logging

from ftlab.config.kinds import all_kinds
from ftlab.core.errors import ConfigError, DataError, UserError
from ftlab.inference.finished_run import FinishedRun, read_run
from ftlab.inference.predictions import (
    ClassPrediction,
    LabelsPrediction,
    NumberPrediction,
    Prediction,
    TagsPrediction,
    TextPrediction,
)
from ftlab.inference.predictor import Predictor
from tests.fixtures.finished_runs import TRAINED, finished, of_experiment
from tests.fixtures.refusals import refused

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")

LORA = ("bert", "text_files", "method=lora", *TRAINED)
LEARNED = ("optim.lr=0.1", "budget.steps=20", "budget.max_length=96")
FEW_SHOT = ("gpt2", "text_files", "method=few_shot", "method.shot_tokens=32")
PREDICT = "ftlab.inference.head_outputs.predict_class"
TEXTS = ["Shares fell in London, on Monday.", "The team won.", "rain " * 20]

Case = tuple[Callable[[], Path], type[Prediction], str]  # run, form of its predictions, column of its texts

KINDS: dict[str, Case] = {
    "classification": (partial(finished, *LORA), ClassPrediction, "text"),
    "multilabel": (partial(finished, "bert", "multilabel_files", "method=lora", *TRAINED), LabelsPrediction, "text"),
    "regression": (
        partial(finished, *("bert", "regression_files", "method=full", *TRAINED, "dataset.columns.target=[score,low]")),
        NumberPrediction,
        "text",
    ),
    "token_classification": (
        partial(
            finished, *("bert", "token_files", "method=full", *TRAINED), "budget.steps=80", "budget.train_rows=null"
        ),
        TagsPrediction,
        "tokens",
    ),
    "instruction": (partial(of_experiment, "gpt2_instruct_zh_lora"), TextPrediction, "instruction"),
    "seq2seq": (
        partial(
            *(finished, "t5", "seq2seq_files", "method=lora", *LEARNED),
            *("dataset.columns.source=instruction", "dataset.columns.target=output"),
        ),
        TextPrediction,
        "instruction",
    ),
    "text": (partial(of_experiment, "gpt2_wikitext_prefix"), TextPrediction, "text"),
}


def numbers_apart(prediction: Prediction) -> tuple[Any, list[float]]:
    """Return a prediction without its numbers, and the numbers."""
    numbers: list[float] = []

    def walked(value: Any) -> Any:
        if isinstance(value, float):
            numbers.append(value)
            return None
        if isinstance(value, dict):
            return {name: walked(member) for name, member in value.items()}
        return [walked(member) for member in value] if isinstance(value, list) else value

    return walked(prediction.to_dict()), numbers


def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FinishedRun, "load_base", lambda *_: pytest.fail("the model was loaded"))


def test_bad_inputs_are_marked_and_cost_no_other() -> None:
    predictor = Predictor(finished(*LORA))
    first, bad, last = predictor.predict(["Shares fell.", " ", "The team won."], on_bad_rows="skip")
    assert bad is None
    assert [first, last] == predictor.predict(["Shares fell.", "The team won."])
    assert predictor.predict([""], on_bad_rows="skip") == [None]
    with refused(DataError, "inputs[1]", "on_bad_rows='skip'"):
        predictor.predict(["Shares fell.", " "])
    with refused(UserError, "on_bad_rows='drop'", "error, skip"):
        predictor.predict(["Shares fell."], on_bad_rows="drop")  # type: ignore[call-overload]


def test_every_kind_that_predicts_is_here() -> None:
    assert set(KINDS) == {kind.name for kind in all_kinds() if kind.predict}


@pytest.mark.parametrize("kind", list(KINDS))
def test_answers_have_the_form_of_their_kind_and_are_the_same_at_every_call(kind: str) -> None:
    make, form, column = KINDS[kind]
    predictor = Predictor(make())
    assert predictor.run.task.name == kind
    done: list[int] = []
    together = predictor.predict(TEXTS, max_new_tokens=6, advance=done.append)
    assert sum(done) == len(together) == len(TEXTS)
    assert {type(prediction) for prediction in together} == {form}
    assert predictor.predict(TEXTS, max_new_tokens=6) == together
    assert predictor.predict([{column: text, "other": 1} for text in TEXTS], max_new_tokens=6) == together
    for text, prediction in zip(TEXTS, together, strict=True):
        (alone,) = predictor.predict((text,), max_new_tokens=6)
        words, numbers = numbers_apart(prediction)
        assert numbers_apart(alone) == (words, pytest.approx(numbers, abs=1e-5))
        assert json.loads(json.dumps(prediction.to_dict())) == prediction.to_dict()


def test_words_may_be_given_as_words() -> None:
    predictor = Predictor(KINDS["token_classification"][0]())
    (of_text,) = predictor.predict(["London is big"])
    words = ["London", "is", "big"]
    for item in (words, tuple(words), {"tokens": words}, {"tokens": "London is big"}):
        assert predictor.predict([item]) == [of_text]
    assert isinstance(of_text, TagsPrediction)
    assert of_text.words == words
    assert isinstance(of_text.entities, list)


def test_no_inputs_have_no_answers_and_the_model_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[FinishedRun] = []
    load = FinishedRun.load_base
    monkeypatch.setattr(FinishedRun, "load_base", lambda run: loads.append(run) or load(run))
    predictor = Predictor(read_run(finished(*LORA)), device="cpu")
    assert predictor.predict([]) == []
    assert predictor.predict(["a"]) == predictor.predict(["a"]) == Predictor(str(finished(*LORA))).predict(["a"])
    assert loads == [predictor.run, read_run(finished(*LORA))]


def test_threads_take_turns() -> None:
    """Without turns, half of a few-shot model's calls fail or answer otherwise: tokenizers are not for threads."""
    predictor = Predictor(finished(*FEW_SHOT))
    expected = [predictor.predict([text]) for text in TEXTS]
    together = threading.Barrier(4)

    def ask(number: int) -> list[Prediction]:
        if number < 4:
            together.wait()
        return predictor.predict([TEXTS[number % 3]])

    with ThreadPoolExecutor(4) as threads:
        answered = list(threads.map(ask, range(40)))
    assert answered == [expected[number % 3] for number in range(40)]


def test_the_process_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])

    def state() -> list[Any]:
        return [
            dict(os.environ),
            [*sys.path],
            [*warnings.filters],
            (transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()),
            (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()),
            torch.is_inference_mode_enabled(),
            torch.get_rng_state().tolist(),
        ]

    Predictor(finished(*LORA))  # so that what is imported is
    before = state()
    for make in (partial(finished, *LORA), KINDS["instruction"][0], KINDS["seq2seq"][0]):
        Predictor(make()).predict(TEXTS, max_new_tokens=2)
    assert state() == before


@pytest.mark.parametrize(
    ("inputs", "error", "culprits"),
    [
        ("The team won.", UserError, ("str", "list", "text")),
        ({"text": "The team won."}, UserError, ("dict", "list", "text")),
        (iter(["a"]), UserError, ("list_iterator", "list")),
        (["a", " "], DataError, ("inputs[1]", "'text'")),
        (["a", {"text": None}], DataError, ("inputs[1]", "'text'")),
        (["a", {"txt": "b"}], DataError, ("inputs[1]", "'text'", "txt")),
        (["a", {}], DataError, ("inputs[1]", "'text'", "no columns")),
        (["a", {"text": {"b": 1}}], DataError, ("inputs[1]", "'text'")),
        (["a", 7], DataError, ("inputs[1]", "int", "text")),
        (["a", b"b"], DataError, ("inputs[1]", "bytes")),
        ([["a", "b"]], DataError, ("inputs[0]", "list")),
    ],
)
def test_inputs_that_cannot_be_used_are_named(inputs: Any, error: type[UserError], culprits: Sequence[str]) -> None:
    with refused(error, *culprits):
        Predictor(finished(*LORA)).predict(inputs)


def test_a_prompt_that_is_too_long_is_named() -> None:
    with refused(DataError, "inputs[1]", "256"):
        Predictor(KINDS["instruction"][0]()).predict(["short", "word " * 400])


def test_settings_that_cannot_be_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with refused(UserError, "max_new_tokens=0"):
        Predictor(finished(*LORA)).predict(["a"], max_new_tokens=0)
    for number in (1.5, True, "3"):
        with refused(UserError, f"max_new_tokens={number!r}"):
            Predictor(finished(*LORA)).predict(["a"], max_new_tokens=number)
    no_model(monkeypatch)
    for device in ("gpu", "meta", 1.5):
        with refused(UserError, f"device={device}"):
            Predictor(finished(*LORA), device=device)
    with refused(UserError, "record.json", "folder"):
        Predictor(finished(*LORA) / "record.json")
    with refused(ConfigError, "absent.py"):
        Predictor(finished(*LORA), kinds="absent.py")


def test_a_run_that_did_not_complete_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Path(shutil.copytree(finished(*LORA), tmp_path / "run"))
    record = json.loads((run / "record.json").read_text(encoding="utf-8"))
    (run / "record.json").write_text(json.dumps({**record, "status": "failed"}), encoding="utf-8")
    no_model(monkeypatch)
    with refused(UserError, run, "failed"):
        Predictor(run)
    with refused(UserError, tmp_path / "none"):
        Predictor(tmp_path / "none")


def test_a_masked_language_model_predicts_nothing_and_is_not_even_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = finished("masked", "plain_text_files", "dataset.task=masked_lm", "method=lora", *TRAINED)
    no_model(monkeypatch)
    with refused(UserError, "dataset.task=masked_lm", "ftlab export"):
        Predictor(folder)


@dataclass(frozen=True)
class Stars(Prediction):
    stars: int


@pytest.mark.parametrize(
    ("returned", "culprits"),
    [
        ([], ("0 predictions", "2 rows")),
        ([Stars(1)], ("1 predictions", "2 rows")),
        (None, ("NoneType",)),
        ([Stars(1), None], ("NoneType",)),
        (Stars(1), ("Stars", "list")),
        ((Stars(1), Stars(2)), ("tuple", "list")),
        ([{"prediction": "a"}] * 2, ("dict", "dataclass", "ftlab.inference.predictions.Prediction")),
    ],
)
def test_a_function_that_does_not_predict_every_row_is_named(
    returned: object, culprits: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PREDICT, lambda *_: returned)
    predictor = Predictor(finished(*LORA))
    with refused(ConfigError, PREDICT, *culprits):
        predictor.predict(["a", "b"])


def test_a_prediction_may_be_of_a_form_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PREDICT, lambda _, rows: [Stars(len(row.values["text"])) for row in rows])
    predictions = Predictor(finished(*LORA)).predict(["a", "bb"])
    assert predictions == [Stars(1), Stars(2)]
    assert [prediction.to_dict() for prediction in predictions] == [{"stars": 1}, {"stars": 2}]
