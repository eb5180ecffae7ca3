"""Answers of a finished run: the class of a text, or the text that a language model writes."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig

from ftlab.data import KINDS, demonstrations
from ftlab.data.base import DataModule
from ftlab.data.batches import Loading
from ftlab.data.collate import IGNORED, Collate, Example, inputs_of
from ftlab.data.rows import Row
from ftlab.data.tokens import eos_id, tokenized
from ftlab.deploy.finished import Finished
from ftlab.errors import DataError, UserError
from ftlab.models import Base, position_count
from ftlab.models.quiet import quiet
from ftlab.tasks.spec import MASKED_LM

Answer = dict[str, Any]
Advance = Callable[[int], None]

_ANYTHING = 2**31  # tokens; what a model can see bounds a prompt that is to be continued, not what it was trained on


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
        classes. Language models: the `answer`, what is most likely at each step, up to the end that was trained.
    """
    if run.task.name == MASKED_LM.name:
        raise UserError("a masked language model answers nothing: its adapter is for going on with, see ftlab export.")
    model = run.restored(base).to("cuda" if torch.cuda.is_available() else "cpu")
    with torch.inference_mode(), _precision(run, model):
        if run.task.labels:
            return list(_classified(run, base, model, rows, advance))
        return _continued(run, base, model, rows, max_new_tokens, advance)


def _precision(run: Finished, model: nn.Module) -> AbstractContextManager[Any]:
    """Compute in the types that the run's own test did, as far as this machine can."""
    used = run.record.hardware.precision if run.record.hardware else "32-true"
    device = next(model.parameters()).device.type
    if used == "bf16-mixed":
        return torch.autocast(device, torch.bfloat16)
    return torch.autocast(device, torch.float16) if used == "16-mixed" and device == "cuda" else nullcontext()


def _classified(run: Finished, base: Base, model: nn.Module, rows: Sequence[Row], advance: Advance) -> Iterator[Answer]:
    labels = run.task.labels
    asked = [Row({**row.values, "label": labels[0]}, row.where) for row in rows]  # a place-holder, which nothing reads
    _, examples, collate = _encoded(run, base, asked, run.config.max_length, classes=labels)
    size = run.config.hardware.eval_batch_size
    for start in range(0, len(examples), size):
        batch = collate(list(enumerate(examples[start : start + size])))
        device = next(model.parameters()).device
        inputs = {key: value.to(device) for key, value in inputs_of(batch).items()}
        for scores in run.method.forward(model, inputs).float().softmax(-1).tolist():
            best = max(range(len(labels)), key=scores.__getitem__)
            yield {
                "prediction": labels[best],
                "probability": scores[best],
                "scores": dict(zip(labels, scores, strict=True)),
            }
        advance(len(batch["index"]))


def _continued(
    run: Finished, base: Base, model: nn.Module, rows: Sequence[Row], max_new_tokens: int, advance: Advance
) -> list[Answer]:
    """Write on from every prompt. Prompts of one length go together: nothing is padded, so nothing depends on it."""
    room = _room(run, base)
    prompts = list(_prompts(run, base, rows, room))
    answers: list[Answer] = [{} for _ in rows]
    by_length = sorted(range(len(prompts)), key=lambda index: len(prompts[index][0]))
    size = run.config.hardware.eval_batch_size
    for length, members in groupby(by_length, key=lambda index: len(prompts[index][0])):
        together = list(members)
        for start in range(0, len(together), size):
            chosen = together[start : start + size]
            most = max_new_tokens if base.model.config.is_encoder_decoder else min(max_new_tokens, room - length)
            for index, written in zip(chosen, _written(base, model, [prompts[i] for i in chosen], most), strict=True):
                answers[index] = {"answer": str(base.tokenizer.decode(written, skip_special_tokens=True)).strip()}
            advance(len(chosen))
    return answers


def _room(run: Finished, base: Base) -> int:
    """Return how many tokens the model can see."""
    return (
        min(base.tokenizer.model_max_length, position_count(base.model) or _ANYTHING, _ANYTHING)
        - run.method.added_positions
    )


def _prompts(run: Finished, base: Base, rows: Sequence[Row], room: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield what the model reads for each row, and what it would write for an empty answer: how one begins and ends."""
    if run.task.name == "text":  # running text has no answers: it goes on where it stops
        end = eos_id(base.tokenizer)
        for batch in tokenized(base.tokenizer, [row.values["text"] for row in rows]):
            for ids in batch["input_ids"]:
                yield (list(ids[:-1]) if ids[-1:] == [end] else list(ids)), [end]
        return
    texts = {"template": run.config.dataset.template, "system": run.config.dataset.system}
    asked = [Row({**row.values, "response": ""}, row.where) for row in rows]
    most = room - run.task.shots * run.task.shot_tokens
    data, examples, _ = _encoded(run, base, asked, most, **texts)
    if len(examples) < len(rows):
        long = next(row.where for row in asked if not data.encode(base.tokenizer, [row]).examples)
        raise DataError(f"{long}: this prompt is longer than the {most} tokens that the model can see: shorten it.")
    for example in examples:
        assert not isinstance(example.labels, int)
        learned = example.labels[example.labels != IGNORED].tolist()
        read = example.input_ids.tolist()
        yield (read if base.model.config.is_encoder_decoder else read[: len(read) - len(learned)]), learned


def _written(
    base: Base, model: nn.Module, prompts: Sequence[tuple[list[int], list[int]]], most: int
) -> Iterator[list[int]]:
    """Yield the tokens of each answer, without how it begins and ends."""
    device = next(model.parameters()).device
    read = torch.tensor([prompt for prompt, _ in prompts], device=device)
    ends = {prompts[0][1][-1], base.tokenizer.eos_token_id} - {None}
    settings = GenerationConfig(
        do_sample=False,
        num_beams=1,
        max_new_tokens=most,
        eos_token_id=sorted(ends),
        pad_token_id=base.tokenizer.pad_token_id,
        decoder_start_token_id=getattr(base.model.config, "decoder_start_token_id", None),
        use_cache=True,  # off in the model's own settings, for training
    )
    with quiet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Position ids are not supported")  # PEFT counts them itself
        generate: Any = model.generate  # of Transformers, or PEFT's around it
        output = generate(input_ids=read, attention_mask=torch.ones_like(read), generation_config=settings)
    skipped = 1 if base.model.config.is_encoder_decoder else read.shape[1]
    for (_, empty), tokens in zip(prompts, output[:, skipped:].tolist(), strict=True):
        stop = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
        same = next((i for i, (one, two) in enumerate(zip(tokens, empty, strict=False)) if one != two), len(empty))
        yield tokens[min(same, stop) : stop]  # some chat templates open every answer with the same tokens


def _encoded(
    run: Finished, base: Base, rows: list[Row], max_length: int, **settings: Any
) -> tuple[DataModule, list[Example], Collate]:
    """Return the rows as the run would have encoded them."""
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
    return data, data.encode(base.tokenizer, rows).examples, collate
