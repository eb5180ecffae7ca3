"""Python that loads what was exported and asks it something; printed, never run here.

What comes from the run's folder appears in it as a literal alone.
"""

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from ftlab.data.layouts import FixedText
from ftlab.data.own_template import lay_out
from ftlab.data.templates import INPUT, PROMPT, REQUEST
from ftlab.deploy.finished import Finished
from ftlab.tasks.multilabel import THRESHOLD
from ftlab.tasks.spec import TOKEN_CLASSIFICATION

_QUESTION = "What is AI?"


def model_code(run: Finished, tokenizer: PreTrainedTokenizerBase, to: Path) -> str:
    """Return code for a Transformers folder."""
    auto = run.task.auto_class
    return "\n".join(
        [
            f"from transformers import {auto}, AutoTokenizer",
            f"model = {auto}.from_pretrained({str(to)!r}).eval()",
            f"tokenizer = AutoTokenizer.from_pretrained({str(to)!r})",
            *_asking(run, tokenizer),
        ]
    )


def adapter_code(
    run: Finished, tokenizer: PreTrainedTokenizerBase, to: Path, base: Path | None, quantization: Any
) -> str:
    """Return code for an adapter.

    Args:
        run: the run.
        tokenizer: its tokenizer.
        to: the adapter's folder.
        base: the folder of the base model; None: it is where the run had it from.
        quantization: Transformers' configuration of the run's quantisation; None: not quantised.
    """
    assert run.method.loading is not None
    importing, attaching = run.method.loading
    auto, model = run.task.auto_class, run.model_config
    names = [auto, "AutoTokenizer"]
    settings = [repr(str(base or model.reference)), f"dtype={model.dtype!r}"]
    if base is None:
        names.append("AutoConfig")
        settings.append(f"config=AutoConfig.from_pretrained({str(to)!r})")
        settings += [f"revision={model.revision!r}"] if model.revision else []
    if quantization is not None:
        names.append("BitsAndBytesConfig")
        given = ", ".join(
            f"{key}={value!r}"
            for key, value in quantization.to_diff_dict().items()
            if not key.startswith("_") and key != "quant_method"
        )
        settings.append(f"quantization_config=BitsAndBytesConfig({given})")
    return "\n".join(
        [
            f"from transformers import {', '.join(sorted(names))}",
            importing,
            f"base = {auto}.from_pretrained({', '.join(settings)})",
            f"model = {attaching.format(folder=repr(str(to)))}.eval()",
            f"tokenizer = AutoTokenizer.from_pretrained({str(to)!r})",
            *_asking(run, tokenizer),
        ]
    )


def _asking(run: Finished, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    if run.task.cloze is not None:
        return [
            f"# A text goes into {run.task.cloze.template!r};",
            f"# the answer is the likeliest of {run.task.cloze.words!r} in the gap.",
        ]
    if run.task.labels:
        cut = f"truncation=True, max_length={run.config.max_length}, return_tensors='pt'"
        asking = f"inputs = tokenizer('some text', {cut})"
        if run.task.parts:
            return [
                asking,
                "# each output belongs to the part before the slash in its name, and to that part's kind of answer",
                "print(model.config.id2label, model(**inputs).logits[0].tolist())",
            ]
        if run.task.name == TOKEN_CLASSIFICATION.name:
            return [
                asking,
                "labels = model(**inputs).logits[0].argmax(-1).tolist()[-inputs['input_ids'].shape[1] :]",
                "print([model.config.id2label[label] for label in labels])",
            ]
        if run.task.problem == "regression":
            scales, means = list(run.task.target_scales), list(run.task.target_means)
            return [
                asking,
                f"# {', '.join(map(repr, run.task.labels))}: the model's outputs are standardised",
                f"scales, means = {scales}, {means}",
                "print([o * s + m for o, s, m in zip(model(**inputs).logits[0].tolist(), scales, means)])",
            ]
        if run.task.problem == "multi_label_classification":
            return [
                asking,
                "chances = model(**inputs).logits[0].sigmoid().tolist()",
                f"print([model.config.id2label[i] for i, chance in enumerate(chances) if chance > {THRESHOLD}])",
            ]
        return [asking, "print(model.config.id2label[model(**inputs).logits.argmax().item()])"]
    prompt, added, stop = _QUESTION, "", tokenizer.eos_token_id
    if run.task.name in ("instruction", "seq2seq"):
        dataset = run.config.dataset
        layout = lay_out(dataset.template, tokenizer)(tokenizer, dataset.system, [False])
        prompt, stop = layout.turns[0].before, FixedText(tokenizer, layout).end
        for slot in (PROMPT, REQUEST, INPUT):
            prompt = prompt.replace(slot, f"{dataset.prefix or ''}{_QUESTION}")
        added = "" if run.task.auto_class == "AutoModelForSeq2SeqLM" else "add_special_tokens=False, "
    return [
        f"inputs = tokenizer({prompt!r}, {added}return_tensors='pt')",
        f"output = model.generate(**inputs, max_new_tokens=64, do_sample=False, eos_token_id={stop})",
        "print(tokenizer.decode(output[0], skip_special_tokens=True))",
    ]
