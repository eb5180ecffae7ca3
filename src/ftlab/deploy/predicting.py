"""Answers of a finished run: the class of a text, its labels, numbers or tags, or the text that a model writes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from ftlab.data import KINDS, demonstrations
from ftlab.data.answered import AnsweredData
from ftlab.data.base import DataModule
from ftlab.data.batches import Loading
from ftlab.data.collate import Collate, inputs_of
from ftlab.data.rows import Row
from ftlab.data.tokens import eos_id, tokenized
from ftlab.deploy import tagging
from ftlab.deploy.finished import Finished
from ftlab.errors import DataError, UserError
from ftlab.models import Base
from ftlab.tasks.generation import Prompt, continued, room
from ftlab.tasks.multilabel import chosen
from ftlab.tasks.spec import MASKED_LM, TOKEN_CLASSIFICATION, Task

Answer = dict[str, Any]
Advance = Callable[[int], None]


def predict(run: Finished, base: Base, rows: Sequence[Row], *, max_new_tokens: int, advance: Advance) -> list[Answer]:
    """Answer every row.

    Args:
        run: the run.
        base: its base, fresh; changed in place.
        rows: role -> text, without answers.
        max_new_tokens: most tokens that a language model writes.
        advance: is told how many rows are done, as they are.

    Returns:
        An answer for each row, in order. Classification: `prediction`, its `probability`, and the `scores` of all
        classes. Multi-label: `prediction`, a list of the labels above the threshold, and the `scores` of all labels.
        Regression: `prediction`, a number on the target's own scale, of several targets an object of them. Token
        classification: see `tagging.tag`. Language models: the `answer`, what is most likely at each step, up to the
        end that was trained.
    """
    if run.task.name == MASKED_LM.name:
        raise UserError("a masked language model answers nothing: its adapter is for going on with, see ftlab export.")
    model = run.restored(base).to("cuda" if torch.cuda.is_available() else "cpu")
    with torch.inference_mode(), _precision(run, model):
        if run.task.name == TOKEN_CLASSIFICATION.name:
            data, collate = _posed(run, base, run.config.max_length, classes=run.task.labels)
            examples = data.encode(base.tokenizer, tagging.asked(run, rows)).examples
            return list(tagging.tag(run, model, rows, examples, collate, advance))
        if run.task.labels:
            return [_in_words(run.task, logits) for logits in _outputs(run, base, model, rows, advance)]
        return _continued(run, base, model, rows, max_new_tokens, advance)


def _precision(run: Finished, model: nn.Module) -> AbstractContextManager[Any]:
    """Compute in the types that the run's own test did, as far as this machine can."""
    used = run.record.hardware.precision if run.record.hardware else "32-true"
    device = next(model.parameters()).device.type
    if used == "bf16-mixed":
        return torch.autocast(device, torch.bfloat16)
    return torch.autocast(device, torch.float16) if used == "16-mixed" and device == "cuda" else nullcontext()


def _outputs(
    run: Finished, base: Base, model: nn.Module, rows: Sequence[Row], advance: Advance
) -> Iterator[torch.Tensor]:
    """Yield the logits of each row, (labels,)."""
    values, settings = KINDS[run.config.dataset.task].unanswered(run.task)
    asked = [Row({**row.values, **values}, row.where) for row in rows]  # place-holders, which nothing reads
    data, collate = _posed(run, base, run.config.max_length, **settings)
    examples = data.encode(base.tokenizer, asked).examples
    size = run.config.hardware.eval_batch_size
    for start in range(0, len(examples), size):
        batch = collate(list(enumerate(examples[start : start + size])))
        device = next(model.parameters()).device
        inputs = inputs_of(batch, device)
        yield from run.method.forward(model, inputs).float().cpu()
        advance(len(batch["index"]))


def _in_words(task: Task, logits: torch.Tensor) -> Answer:
    """Return what the logits of one row mean."""
    if task.problem == "regression":
        numbers = (logits * torch.tensor(task.target_scales) + torch.tensor(task.target_means)).tolist()
        named = dict(zip(task.labels, numbers, strict=True))
        return {"prediction": named if len(named) > 1 else numbers[0]}
    if task.problem == "multi_label_classification":
        probabilities = logits.sigmoid().tolist()
        scores = dict(zip(task.labels, probabilities, strict=True))
        return {"prediction": chosen(probabilities, task.labels), "scores": scores}
    scores = dict(zip(task.labels, logits.softmax(-1).tolist(), strict=True))
    best = max(scores, key=scores.__getitem__)
    return {"prediction": best, "probability": scores[best], "scores": scores}


def _continued(
    run: Finished, base: Base, model: nn.Module, rows: Sequence[Row], max_new_tokens: int, advance: Advance
) -> list[Answer]:
    texts = continued(
        model,
        base,
        run.method,
        list(_prompts(run, base, rows)),
        max_new_tokens=max_new_tokens,
        batch_size=run.config.hardware.eval_batch_size,
        advance=advance,
    )
    return [{"answer": text} for text in texts]


def _prompts(run: Finished, base: Base, rows: Sequence[Row]) -> Iterator[Prompt]:
    """Yield what the model goes on from for each row, as long as it can see."""
    if run.task.name == "text":  # running text has no answers: it goes on where it stops
        end = eos_id(base.tokenizer)
        for batch in tokenized(base.tokenizer, [row.values["text"] for row in rows]):
            for ids in batch["input_ids"]:
                yield Prompt((list(ids[:-1]) if ids[-1:] == [end] else list(ids)), end, [])
        return
    kind, dataset = KINDS[run.config.dataset.task], run.config.dataset
    _, answer = kind.roles.required
    most = room(base, run.method) - run.task.shots * run.task.shot_tokens
    data, _ = _posed(run, base, most, **kind.arguments(dataset, dataset.columns))
    assert isinstance(data, AnsweredData)
    asked = [Row({**row.values, answer: ""}, row.where) for row in rows]
    questions = list(data.questions(base.tokenizer, asked))
    if len(questions) < len(rows) or None in questions:
        long = next(row.where for row in asked if next(data.questions(base.tokenizer, [row]), None) is None)
        raise DataError(f"{long}: this prompt is longer than the {most} tokens that the model can see: shorten it.")
    yield from (Prompt(question.read, question.end, question.opening) for question in questions if question)


def _posed(run: Finished, base: Base, max_length: int, **settings: Any) -> tuple[DataModule, Collate]:
    """Return data of the run's kind without rows, which encodes as the run did, and what makes batches."""
    kind = KINDS[run.config.dataset.task]
    size = run.config.hardware.eval_batch_size
    data = kind(
        {"train": [], "val": [], "test": []},
        max_length=max_length,
        loading=Loading(micro_batch_size=size, eval_batch_size=size),
        **settings,
    )
    collate = data.pose(
        base.tokenizer,
        model=run.config.model.name,
        task=run.task,
        decoder_start=getattr(base.model.config, "decoder_start_token_id", None),
        demonstrations=demonstrations.load(run.adapter) if run.task.shots else None,
    )
    return data, collate
