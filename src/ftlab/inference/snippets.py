"""Python snippets that load an exported model and use it; they are printed, never run here.

Values from the run's folder appear in them only as literals.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from ftlab.config.kinds import load_part
from ftlab.data.prompting.jinja_template import template_renderer
from ftlab.data.prompting.render import TokenizedTemplate
from ftlab.data.prompting.slots import INPUT, PROMPT, REQUEST, TurnShape
from ftlab.inference.finished_run import FinishedRun
from ftlab.tasks.multilabel import THRESHOLD

# returns the lines of code that use an exported model, loaded as `model` with `tokenizer`; `TaskKind.usage` names it
UsageLines = Callable[[FinishedRun, PreTrainedTokenizerBase], list[str]]

_QUESTION = "What is AI?"


def model_code(run: FinishedRun, tokenizer: PreTrainedTokenizerBase, output_dir: Path) -> str:
    """Return the code that loads a whole model from a Transformers folder."""
    auto = run.task.head.auto_class
    return "\n".join(
        [
            f"from transformers import {auto}, AutoTokenizer",
            f"model = {auto}.from_pretrained({str(output_dir)!r}).eval()",
            f"tokenizer = AutoTokenizer.from_pretrained({str(output_dir)!r})",
            *_usage_lines(run, tokenizer),
        ]
    )


def adapter_code(
    run: FinishedRun, tokenizer: PreTrainedTokenizerBase, output_dir: Path, base: Path | None, quantization: Any
) -> str:
    """Return the code that loads an adapter and its base model.

    Args:
        run: the run.
        tokenizer: its tokenizer.
        output_dir: the adapter's folder.
        base: the folder of the base model; None: it is loaded from where the run loaded it.
        quantization: Transformers' quantisation configuration of the run; None: not quantised.
    """
    assert run.method.loading_code is not None
    import_line, load_expression = run.method.loading_code
    auto, model = run.task.head.auto_class, run.model_config
    names = [auto, "AutoTokenizer"]
    base_args = [repr(str(base or model.reference)), f"dtype={model.dtype!r}"]
    if base is None:
        names.append("AutoConfig")
        base_args.append(f"config=AutoConfig.from_pretrained({str(output_dir)!r})")
        base_args += [f"revision={model.revision!r}"] if model.revision else []
    if quantization is not None:
        names.append("BitsAndBytesConfig")
        quantization_args = ", ".join(
            f"{key}={value!r}"
            for key, value in quantization.to_diff_dict().items()
            if not key.startswith("_") and key != "quant_method"
        )
        base_args.append(f"quantization_config=BitsAndBytesConfig({quantization_args})")
    return "\n".join(
        [
            f"from transformers import {', '.join(sorted(names))}",
            import_line,
            f"base = {auto}.from_pretrained({', '.join(base_args)})",
            f"model = {load_expression.format(folder=repr(str(output_dir)))}.eval()",
            f"tokenizer = AutoTokenizer.from_pretrained({str(output_dir)!r})",
            *_usage_lines(run, tokenizer),
        ]
    )


def _usage_lines(run: FinishedRun, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the lines of code that use the loaded model on one text."""
    if run.task.cloze is not None:
        return [
            f"# A text goes into {run.task.cloze.template!r};",
            f"# the prediction is the word of {run.task.cloze.words!r} that is most probable in the gap.",
        ]
    usage: UsageLines = load_part(run.task.kind, run.task.kind.usage)
    return usage(run, tokenizer)


def class_usage(run: FinishedRun, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the code that prints the class of a text."""
    return [_tokenize_line(run), "print(model.config.id2label[model(**inputs).logits.argmax().item()])"]


def labels_usage(run: FinishedRun, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the code that prints the labels of a text."""
    return [
        _tokenize_line(run),
        "chances = model(**inputs).logits[0].sigmoid().tolist()",
        f"print([model.config.id2label[i] for i, chance in enumerate(chances) if chance > {THRESHOLD}])",
    ]


def numbers_usage(run: FinishedRun, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the code that prints the numbers of a text on the targets' own scale."""
    return [
        _tokenize_line(run),
        f"# {', '.join(map(repr, run.task.labels))}: the model's outputs are standardised",
        f"scales, means = {list(run.task.target_scales)}, {list(run.task.target_means)}",
        "print([o * s + m for o, s, m in zip(model(**inputs).logits[0].tolist(), scales, means)])",
    ]


def tags_usage(run: FinishedRun, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the code that prints the tag of each token."""
    return [
        _tokenize_line(run),
        "labels = model(**inputs).logits[0].argmax(-1).tolist()[-inputs['input_ids'].shape[1] :]",
        "print([model.config.id2label[label] for label in labels])",
    ]


def parts_usage(run: FinishedRun, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the code that prints all outputs of a mixture; its language models continue a text."""
    if not run.task.labels:
        return text_usage(run, tokenizer)
    return [
        _tokenize_line(run),
        "# each output belongs to the data set before the slash in its name, and to that data set's task",
        "print(model.config.id2label, model(**inputs).logits[0].tolist())",
    ]


def text_usage(run: FinishedRun, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the code that prints how the model continues a text."""
    return _generation_lines(_QUESTION, "", tokenizer.eos_token_id)


def masked_usage(run: FinishedRun, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the code that prints the most probable word in a gap."""
    return [
        "inputs = tokenizer(f'Paris is the {tokenizer.mask_token} of France.', return_tensors='pt')",
        "gap = inputs['input_ids'][0] == tokenizer.mask_token_id",
        "print(tokenizer.decode(model(**inputs).logits[0, gap].argmax(-1)))",
    ]


def response_usage(run: FinishedRun, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the code that prints the response to a prompt, in the template of the run."""
    dataset = run.config.dataset
    layout = template_renderer(dataset.template, tokenizer)(tokenizer, dataset.system, [TurnShape()])
    prompt = layout.turns[0].before
    for slot in (PROMPT, REQUEST, INPUT):
        prompt = prompt.replace(slot, f"{dataset.prefix or ''}{_QUESTION}")
    tokenizer_args = "" if run.task.decoder_writes else "add_special_tokens=False, "
    return _generation_lines(prompt, tokenizer_args, TokenizedTemplate(tokenizer, layout).stop_id)


def _generation_lines(prompt: str, tokenizer_args: str, stop: Any) -> list[str]:
    return [
        f"inputs = tokenizer({prompt!r}, {tokenizer_args}return_tensors='pt')",
        f"output = model.generate(**inputs, max_new_tokens=64, do_sample=False, eos_token_id={stop})",
        "print(tokenizer.decode(output[0], skip_special_tokens=True))",
    ]


def _tokenize_line(run: FinishedRun) -> str:
    tokenizer_args = f"truncation=True, max_length={run.config.max_length}, return_tensors='pt'"
    return f"inputs = tokenizer('some text', {tokenizer_args})"
