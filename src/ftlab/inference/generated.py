"""Predictions of language models: the text that they write."""

from collections.abc import Iterator, Sequence

from ftlab.core.errors import DataError
from ftlab.data.dataset import data_class_of
from ftlab.data.encoding.tokens import eos_id, tokenize_in_chunks
from ftlab.data.generative import GenerativeData
from ftlab.data.rows.row import Row
from ftlab.inference.finished_run import FinishedRun
from ftlab.inference.loaded_run import LoadedRun, empty_data_module
from ftlab.inference.predictions import TextPrediction
from ftlab.models import Base
from ftlab.tasks.generation import GenerationPrompt, generate_texts, max_prompt_tokens


def answer(loaded: LoadedRun, rows: Sequence[Row]) -> list[TextPrediction]:
    """Return the response to each row from greedy decoding, up to the end token that was trained.

    Raises:
        DataError: a prompt is too long for the model.
    """
    return _generate(loaded, list(response_prompts(loaded.run, loaded.base, rows)))


def continue_text(loaded: LoadedRun, rows: Sequence[Row]) -> list[TextPrediction]:
    """Return how the model continues the text of each row, from greedy decoding."""
    return _generate(loaded, list(text_prompts(loaded.base, rows)))


def _generate(loaded: LoadedRun, prompts: Sequence[GenerationPrompt]) -> list[TextPrediction]:
    texts = generate_texts(
        loaded.model,
        loaded.base,
        loaded.run.method,
        prompts,
        max_new_tokens=loaded.max_new_tokens,
        batch_size=loaded.run.config.hardware.eval_batch_size,
        advance=loaded.advance,
    )
    return [TextPrediction(text) for text in texts]


def text_prompts(base: Base, rows: Sequence[Row]) -> Iterator[GenerationPrompt]:
    """Yield the text of each row as a prompt, without an end token."""
    end = eos_id(base.tokenizer)
    for batch in tokenize_in_chunks(base.tokenizer, [row.values["text"] for row in rows]):
        for ids in batch["input_ids"]:
            yield GenerationPrompt(list(ids[:-1] if ids[-1:] == [end] else ids), end, [])


def response_prompts(run: FinishedRun, base: Base, rows: Sequence[Row]) -> Iterator[GenerationPrompt]:
    """Yield the prompt of each row, as the run's template renders it.

    Raises:
        DataError: a prompt is too long for the model.
    """
    kind, dataset = run.task.kind, run.config.dataset
    responses = [role for role in kind.roles.required if role not in kind.roles.inputs]
    max_length = max_prompt_tokens(base, run.method) - run.task.shots * run.task.shot_tokens
    data_args = data_class_of(kind).init_args(dataset, dataset.columns)
    data, _ = empty_data_module(run, base, max_length, **data_args)
    assert isinstance(data, GenerativeData)
    prompt_rows = [Row({**row.values, **dict.fromkeys(responses, "")}, row.where) for row in rows]
    prompts = list(data.prompts_with_references(base.tokenizer, prompt_rows))
    if len(prompts) < len(rows) or None in prompts:
        too_long = next(
            row.where for row in prompt_rows if next(data.prompts_with_references(base.tokenizer, [row]), None) is None
        )
        raise DataError(f"{too_long}: this prompt is longer than the model's limit of {max_length} tokens: shorten it.")
    yield from (GenerationPrompt(prompt.input_ids, prompt.stop_id, prompt.opening_ids) for prompt in prompts if prompt)
