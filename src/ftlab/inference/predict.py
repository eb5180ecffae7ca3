"""Predictions of a finished run: the class of a text, its labels, numbers or tags, or the generated text."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from ftlab.config.task import MASKED_LM, TOKEN_CLASSIFICATION, Task
from ftlab.core.batch import model_inputs
from ftlab.core.errors import DataError, UserError
from ftlab.data.base import DataModule
from ftlab.data.dataset import DATA_MODULES
from ftlab.data.encoding.tokens import eos_id, tokenize_in_chunks
from ftlab.data.generative import GenerativeData
from ftlab.data.loading.batches import Loading
from ftlab.data.loading.collate import Collate
from ftlab.data.prompting import demonstrations
from ftlab.data.rows.row import Row
from ftlab.inference import entities
from ftlab.inference.finished_run import FinishedRun
from ftlab.models import Base
from ftlab.tasks.generation import GenerationPrompt, generate_texts, max_prompt_tokens
from ftlab.tasks.multilabel import predicted_labels

Prediction = dict[str, Any]
Advance = Callable[[int], None]


def predict(
    run: FinishedRun, base: Base, rows: Sequence[Row], *, max_new_tokens: int, advance: Advance
) -> list[Prediction]:
    """Predict every row.

    Args:
        run: the run.
        base: its base model, freshly loaded; changed in place.
        rows: role -> text, without labels or responses.
        max_new_tokens: largest number of tokens that a language model generates.
        advance: called with the number of rows done since the last call.

    Returns:
        A prediction for each row, in order. Classification: `prediction`, its `probability`, and the `scores` of all
        classes. Multi-label: `prediction`, a list of the labels above the threshold, and the `scores` of all labels.
        Regression: `prediction`, a number on the target's original scale; for several targets, a dict of them. Token
        classification: see `entities.predict_tags`. Language models: `answer`, the text from greedy decoding, up to
        the end token that was trained.

    Raises:
        UserError: the run trained a masked language model.
        DataError: a prompt is too long for the model.
    """
    if run.task.name == MASKED_LM.name:
        raise UserError(
            "a masked language model predicts nothing: its adapter is for further training, see ftlab export."
        )
    model = run.restore_model(base).to("cuda" if torch.cuda.is_available() else "cpu")
    with torch.inference_mode(), _precision(run, model):
        if run.task.name == TOKEN_CLASSIFICATION.name:
            data, collate = _data_module(run, base, run.config.max_length, classes=run.task.labels)
            examples = data.encode(base.tokenizer, entities.with_placeholder_tags(run, rows)).examples
            return list(entities.predict_tags(run, model, rows, examples, collate, advance))
        if run.task.labels:
            return [_decode_logits(run.task, logits) for logits in _row_logits(run, base, model, rows, advance)]
        return _generate(run, base, model, rows, max_new_tokens, advance)


def _precision(run: FinishedRun, model: nn.Module) -> AbstractContextManager[Any]:
    """Return the autocast context of the run's own test, as far as this machine supports it."""
    precision = run.record.hardware.precision if run.record.hardware else "32-true"
    device = next(model.parameters()).device.type
    if precision == "bf16-mixed":
        return torch.autocast(device, torch.bfloat16)
    return torch.autocast(device, torch.float16) if precision == "16-mixed" and device == "cuda" else nullcontext()


def _row_logits(
    run: FinishedRun, base: Base, model: nn.Module, rows: Sequence[Row], advance: Advance
) -> Iterator[torch.Tensor]:
    """Yield the logits of each row, (labels,)."""
    placeholders, data_args = DATA_MODULES[run.config.dataset.task].label_placeholders(run.task)
    labelled = [Row({**row.values, **placeholders}, row.where) for row in rows]  # nothing reads the placeholders
    data, collate = _data_module(run, base, run.config.max_length, **data_args)
    examples = data.encode(base.tokenizer, labelled).examples
    size = run.config.hardware.eval_batch_size
    for start in range(0, len(examples), size):
        batch = collate(list(enumerate(examples[start : start + size])))
        device = next(model.parameters()).device
        inputs = model_inputs(batch, device)
        yield from run.method.forward(model, inputs).float().cpu()
        advance(len(batch["index"]))


def _decode_logits(task: Task, logits: torch.Tensor) -> Prediction:
    """Return the prediction for one row from its logits, (labels,)."""
    if task.problem == "regression":
        numbers = (logits * torch.tensor(task.target_scales) + torch.tensor(task.target_means)).tolist()
        by_target = dict(zip(task.labels, numbers, strict=True))
        return {"prediction": by_target if len(by_target) > 1 else numbers[0]}
    if task.problem == "multi_label_classification":
        probabilities = logits.sigmoid().tolist()
        scores = dict(zip(task.labels, probabilities, strict=True))
        return {"prediction": predicted_labels(probabilities, task.labels), "scores": scores}
    scores = dict(zip(task.labels, logits.softmax(-1).tolist(), strict=True))
    best = max(scores, key=scores.__getitem__)
    return {"prediction": best, "probability": scores[best], "scores": scores}


def _generate(
    run: FinishedRun, base: Base, model: nn.Module, rows: Sequence[Row], max_new_tokens: int, advance: Advance
) -> list[Prediction]:
    texts = generate_texts(
        model,
        base,
        run.method,
        list(_prompts(run, base, rows)),
        max_new_tokens=max_new_tokens,
        batch_size=run.config.hardware.eval_batch_size,
        advance=advance,
    )
    return [{"answer": text} for text in texts]


def _prompts(run: FinishedRun, base: Base, rows: Sequence[Row]) -> Iterator[GenerationPrompt]:
    """Yield the prompt that the model continues for each row."""
    if run.task.name == "text":  # plain text has no responses: the model continues it
        end = eos_id(base.tokenizer)
        for batch in tokenize_in_chunks(base.tokenizer, [row.values["text"] for row in rows]):
            for ids in batch["input_ids"]:
                yield GenerationPrompt((list(ids[:-1]) if ids[-1:] == [end] else list(ids)), end, [])
        return
    kind, dataset = DATA_MODULES[run.config.dataset.task], run.config.dataset
    _, response = kind.roles.required
    max_length = max_prompt_tokens(base, run.method) - run.task.shots * run.task.shot_tokens
    data, _ = _data_module(run, base, max_length, **kind.init_args(dataset, dataset.columns))
    assert isinstance(data, GenerativeData)
    prompt_rows = [Row({**row.values, response: ""}, row.where) for row in rows]
    prompts = list(data.prompts_with_references(base.tokenizer, prompt_rows))
    if len(prompts) < len(rows) or None in prompts:
        too_long = next(
            row.where for row in prompt_rows if next(data.prompts_with_references(base.tokenizer, [row]), None) is None
        )
        raise DataError(f"{too_long}: this prompt is longer than the model's limit of {max_length} tokens: shorten it.")
    yield from (GenerationPrompt(prompt.input_ids, prompt.stop_id, prompt.opening_ids) for prompt in prompts if prompt)


def _data_module(run: FinishedRun, base: Base, max_length: int, **data_args: Any) -> tuple[DataModule, Collate]:
    """Return an empty data module that encodes rows as the run did, and its collate function."""
    kind = DATA_MODULES[run.config.dataset.task]
    size = run.config.hardware.eval_batch_size
    data = kind(
        {"train": [], "val": [], "test": []},
        max_length=max_length,
        loading=Loading(micro_batch_size=size, eval_batch_size=size),
        **data_args,
    )
    collate = data.prepare_encoding(
        base.tokenizer,
        model=run.config.model.name,
        task=run.task,
        decoder_start=getattr(base.model.config, "decoder_start_token_id", None),
        demonstrations=demonstrations.load(run.adapter_dir) if run.task.shots else None,
    )
    return data, collate
