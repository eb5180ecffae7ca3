"""Verbalizer methods: classification as a cloze task, with a word for each class that a language model predicts."""

import re
from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from ftlab.config.task import Architecture, Cloze, Task, require_single_dataset
from ftlab.core.batch import Batch
from ftlab.core.errors import ConfigError, UserError, did_you_mean
from ftlab.data.prompting.cloze import GAP, PAIR, TEXT, verbalizer_token_ids
from ftlab.methods.base import TuningMethod, train_only
from ftlab.methods.baselines import Untrained
from ftlab.models.load import Base
from ftlab.models.output_layer import select_hidden
from ftlab.models.structure import head_names

_WORDS, _GAP = "word_tokens", "gap_token"  # buffers of the model: tokens of the class words, mask token of the gap
_HEADS: dict[Architecture, tuple[str, str]] = {  # auto class and PEFT's task type
    "decoder": ("AutoModelForCausalLM", "CAUSAL_LM"),
    "encoder": ("AutoModelForMaskedLM", "FEATURE_EXTRACTION"),  # PEFT has none for masked tokens
    "encoder-decoder": ("AutoModelForSeq2SeqLM", "SEQ_2_SEQ_LM"),
}


@dataclass(kw_only=True)
class VerbalizerMethod(TuningMethod, ABC):
    """Classes are words that a language model predicts in a gap: pattern and verbalizer (Schick & Schütze, 2021).

    Attributes:
        template: a solved example with `{text}`, `{mask}` for the word, and `{text_pair}` if the data has pairs
            (without it, the second text follows the first on a new line).
        words: label -> word, where labels without a word are their own words; or a word for each class, in the order of
            the labels; null: the labels are the words.
    """

    template: str
    words: Mapping[str, str] | Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Check template and words as far as possible without data."""
        slots = re.findall(r"\{\w*\}", self.template) if isinstance(self.template, str) else []
        for slot in slots:
            if slot not in (TEXT, PAIR, GAP):
                raise ConfigError(
                    f"method.template has {slot}, which is no slot: {did_you_mean(slot, (TEXT, PAIR, GAP))}."
                )
        if (slots.count(TEXT), slots.count(GAP)) != (1, 1) or slots.count(PAIR) > 1:
            raise ConfigError(f"method.template={self.template!r} is not valid: it needs {TEXT} and {GAP}, once each.")
        words: Any = list(self.words.values()) if isinstance(self.words, Mapping) else self.words
        listed = isinstance(words, list) and all(isinstance(word, str) and word.strip() for word in words)
        if not listed and words is not None:
            raise ConfigError(
                f"method.words={self.words!r} is not valid: give words as {{label: word}} or as a list, or null."
            )

    def forward(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the class words' logits in the gap, (examples, classes); for other tasks, the model's own logits."""
        words = getattr(model, _WORDS, None)
        if words is None:
            return super().forward(model, batch)
        if "decoder_input_ids" in batch:  # only the start token: the word is the first token that is generated
            logits = super().forward(model, batch)[:, 0]
        else:
            examples, tokens = batch["input_ids"].shape
            gaps = _gap_positions(model, batch)
            with select_hidden(model, (torch.arange(examples, device=gaps.device), gaps), tokens, score=True):
                logits = super().forward(model, batch)
        return logits.index_select(1, words)

    def cloze(self, task: Task, architecture: Architecture) -> Task:
        """Return classification as a language-modelling task.

        Raises:
            UserError: `words` has a label that the data does not have, or the template has a text after the gap, which
                the model would not read.
        """
        suffix = self.template.partition(GAP)[2]
        if architecture != "encoder" and (TEXT in suffix or PAIR in suffix):
            raise UserError(f"method.template has a text behind {GAP}, where only an encoder reads it: put {GAP} last.")
        auto_class, peft_type = _HEADS[architecture]
        head = replace(task.head, auto_class=auto_class, peft_type=peft_type)
        # Hydra does not unescape \n in command-line overrides
        cloze = Cloze(template=self.template.replace("\\n", "\n"), words=self._words(task.labels))
        return replace(task, cloze=cloze, head=head)

    def _words(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        if isinstance(self.words, Mapping):
            word_of = {str(label): word.strip() for label, word in self.words.items()}
            for label in word_of:
                if label not in labels:
                    raise UserError(f"method.words has {label!r}, which is no class: {did_you_mean(label, labels)}.")
            return tuple(word_of.get(label, label) for label in labels)
        if self.words is not None and len(self.words) != len(labels):
            raise UserError(
                f"method.words has {len(self.words)} words: give one for each of {', '.join(labels)}, in this order."
            )
        return labels if self.words is None else tuple(word.strip() for word in self.words)


def _require_words(task: Task, method: str) -> None:
    """Refuse tasks with labels other than classification: one word per example cannot answer them."""
    if task.labels and not task.kind.cloze:
        remedy = (
            "leave it out" if task.kind.predicts == "other" else "use method=majority, which needs no training either"
        )
        raise UserError(
            f"method={method} answers with the word of one class, which does not fit the task {task.name}: {remedy}."
        )


def _register_word_tokens(base: Base, task: Task) -> None:
    """Register the tokens of the class words, and the mask token of the gap, on the model."""
    if task.cloze is None:
        return
    base.model.register_buffer(_WORDS, torch.tensor(verbalizer_token_ids(base.tokenizer, task)), persistent=False)
    if task.head.auto_class == "AutoModelForMaskedLM":
        base.model.register_buffer(_GAP, torch.tensor(base.tokenizer.mask_token_id), persistent=False)


def _gap_positions(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Return the position of the gap in each example, (examples,): its mask token, or its last token."""
    tokens, mask = batch["input_ids"], batch["attention_mask"]
    gap = getattr(model, _GAP, None)
    return mask.shape[1] - 1 - mask.flip(1).argmax(1) if gap is None else tokens.eq(gap).int().argmax(1)


@dataclass(kw_only=True)
class PromptHead(VerbalizerMethod):
    """Train only the language-model head, on the words of the classes.

    If the head is tied to the input embeddings, as in most small language models, both train: they are one tensor.
    """

    def adapt_task(self, task: Task, architecture: Architecture) -> Task:
        """Turn classification into a cloze task."""
        require_single_dataset(task, "prompt_head")
        if not task.kind.cloze:
            raise UserError(f"method=prompt_head is for classification, not for {task.name}: use method=head or lora.")
        return self.cloze(task, architecture)

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Freeze all but the output embeddings."""
        _register_word_tokens(base, task)
        train_only(base.model, set(head_names(base.model)))
        return base.model


@dataclass(kw_only=True)
class UntrainedVerbalizer(VerbalizerMethod, Untrained, ABC):
    """Base class of verbalizer methods without training."""

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Freeze everything."""
        _register_word_tokens(base, task)
        train_only(base.model, set())
        return base.model


@dataclass(kw_only=True)
class ZeroShot(UntrainedVerbalizer):
    """The base model's zero-shot prediction, without training or demonstrations."""

    def adapt_task(self, task: Task, architecture: Architecture) -> Task:
        """Turn classification into a cloze task; language-model tasks stay as they are."""
        if task.labels:  # language models can generate the responses of every part of a mixture
            require_single_dataset(task, "zero_shot")
        _require_words(task, "zero_shot")
        return self.cloze(task, architecture) if task.kind.cloze else task


@dataclass(kw_only=True)
class FewShot(UntrainedVerbalizer):
    """The base model's prediction after a few training examples as demonstrations (Brown et al., 2020).

    Attributes:
        shots: number of demonstrations: the same for all examples, drawn by the run's seed, from each class in turn.
        shot_tokens: largest number of tokens of each, in addition to the max_length of the example itself.
    """

    shots: int
    shot_tokens: int

    def __post_init__(self) -> None:
        """Check the numbers too."""
        super().__post_init__()
        for name, value in (("shots", self.shots), ("shot_tokens", self.shot_tokens)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"method.{name}={value!r} is not valid: give a number, 1 or more.")

    def adapt_task(self, task: Task, architecture: Architecture) -> Task:
        """Add demonstrations to the task; turn classification into a cloze task."""
        require_single_dataset(task, "few_shot")
        _require_words(task, "few_shot")
        if not task.kind.demonstrations:
            raise UserError(
                f"method=few_shot shows solved examples, and {task.name} has none to show: use method=zero_shot."
            )
        with_shots = replace(task, shots=self.shots, shot_tokens=self.shot_tokens)
        return self.cloze(with_shots, architecture) if task.kind.cloze else with_shots
