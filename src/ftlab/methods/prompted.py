"""Methods that put classification to a language model as a text with a gap, and read its answer there."""

import re
from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from ftlab.data.cloze import GAP, PAIR, TEXT, word_tokens
from ftlab.errors import ConfigError, UserError, did_you_mean
from ftlab.methods.base import Batch, TuningMethod, train_only
from ftlab.methods.floors import Untrained
from ftlab.models.load import Base
from ftlab.models.structure import head_names
from ftlab.tasks.labelled import read_at
from ftlab.tasks.spec import CLASSIFICATION, MASKED_LM, Architecture, Cloze, Task, require_one_data_set
from ftlab.tasks.spec import TEXT as RUNNING_TEXT

_WORDS, _GAP = "word_tokens", "gap_token"  # buffers of the model: what its answers are, where it gives them
_HEADS: dict[Architecture, tuple[str, str]] = {  # auto class and PEFT's task type
    "decoder": ("AutoModelForCausalLM", "CAUSAL_LM"),
    "encoder": ("AutoModelForMaskedLM", "FEATURE_EXTRACTION"),  # PEFT has none for masked tokens
    "encoder-decoder": ("AutoModelForSeq2SeqLM", "SEQ_2_SEQ_LM"),
}


@dataclass(kw_only=True)
class Prompted(TuningMethod, ABC):
    """Classes are words that a language model puts into a gap: pattern and verbaliser (Schick & Schütze, 2021).

    Attributes:
        template: a solved example with `{text}`, `{mask}` for the word, and `{text_pair}` where the data has pairs
            (without it the second text follows the first on a line of its own).
        words: label -> word, where labels that are not in it stand for themselves, as all do where it is null; or a
            word for each class, in the order of the labels.
    """

    template: str
    words: Mapping[str, str] | Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Check template and words as far as they can be known without data."""
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
        """Return (examples, classes) of the words' logits in the gap; of other tasks the model's own logits."""
        words = getattr(model, _WORDS, None)
        if words is None:
            return super().forward(model, batch)
        if "decoder_input_ids" in batch:  # one token, the start: what is written first is the answer
            logits = super().forward(model, batch)[:, 0]
        else:
            examples, tokens = batch["input_ids"].shape
            gaps = _gaps(model, batch)
            with read_at(model, (torch.arange(examples, device=gaps.device), gaps), tokens, score=True):
                logits = super().forward(model, batch)
        return logits.index_select(1, words)

    def cloze(self, task: Task, architecture: Architecture) -> Task:
        """Return classification as a language-model task.

        Raises:
            UserError: `words` has a label that the data does not have, or the model would not read what is behind
                the gap.
        """
        behind = self.template.partition(GAP)[2]
        if architecture != "encoder" and (TEXT in behind or PAIR in behind):
            raise UserError(f"method.template has a text behind {GAP}, where only an encoder reads it: put {GAP} last.")
        auto_class, peft_type = _HEADS[architecture]
        # on a command line Hydra leaves a typed \n as it is
        cloze = Cloze(template=self.template.replace("\\n", "\n"), words=self._words(task.labels))
        return replace(task, cloze=cloze, auto_class=auto_class, peft_type=peft_type)

    def _words(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        if isinstance(self.words, Mapping):
            given = {str(label): word.strip() for label, word in self.words.items()}
            for label in given:
                if label not in labels:
                    raise UserError(f"method.words has {label!r}, which is no class: {did_you_mean(label, labels)}.")
            return tuple(given.get(label, label) for label in labels)
        if self.words is not None and len(self.words) != len(labels):
            raise UserError(
                f"method.words has {len(self.words)} words: give one for each of {', '.join(labels)}, in this order."
            )
        return labels if self.words is None else tuple(word.strip() for word in self.words)


def _require_words(task: Task, method: str) -> None:
    """Refuse tasks of a new head, which an untrained model does not have, but for those of one word an example."""
    if task.labels and task.name != CLASSIFICATION.name:
        raise UserError(
            f"method={method} answers with the word of one class, which is no answer to the task {task.name}: what "
            "nothing is trained for is method=majority."
        )


def _note_answers(base: Base, task: Task) -> None:
    """Note on the model which tokens answer, and where."""
    if task.cloze is None:
        return
    base.model.register_buffer(_WORDS, torch.tensor(word_tokens(base.tokenizer, task)), persistent=False)
    if task.auto_class == "AutoModelForMaskedLM":
        base.model.register_buffer(_GAP, torch.tensor(base.tokenizer.mask_token_id), persistent=False)


def _gaps(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Return the position of each example's gap, (examples,): its mask token, or its last token."""
    tokens, mask = batch["input_ids"], batch["attention_mask"]
    gap = getattr(model, _GAP, None)
    return mask.shape[1] - 1 - mask.flip(1).argmax(1) if gap is None else tokens.eq(gap).int().argmax(1)


@dataclass(kw_only=True)
class PromptHead(Prompted):
    """Train the language-model head alone on the words of the classes.

    Where the head is tied to the input embeddings, as in most small language models, both train: they are one tensor.
    """

    def adapt_task(self, task: Task, architecture: Architecture) -> Task:
        """Pose classification as a text with a gap."""
        require_one_data_set(task, "prompt_head")
        if task.name != CLASSIFICATION.name:
            raise UserError(f"method=prompt_head is for classification, not for {task.name}: use method=head or lora.")
        return self.cloze(task, architecture)

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Freeze all but the output embeddings."""
        _note_answers(base, task)
        train_only(base.model, set(head_names(base.model)))
        return base.model


@dataclass(kw_only=True)
class Asked(Prompted, Untrained, ABC):
    """The base model is asked as it is."""

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Freeze everything."""
        _note_answers(base, task)
        train_only(base.model, set())
        return base.model


@dataclass(kw_only=True)
class ZeroShot(Asked):
    """The base model's own answer: nothing is trained and nothing is shown."""

    def adapt_task(self, task: Task, architecture: Architecture) -> Task:
        """Pose classification as a text with a gap; models that write do other tasks as they are."""
        if task.labels:  # models that write answer every part as it is
            require_one_data_set(task, "zero_shot")
        _require_words(task, "zero_shot")
        return self.cloze(task, architecture) if task.name == CLASSIFICATION.name else task


@dataclass(kw_only=True)
class FewShot(Asked):
    """The base model's answer after a few solved training examples (Brown et al., 2020).

    Attributes:
        shots: how many are shown: the same for all questions, drawn by the run's seed, from each class in turn.
        shot_tokens: most tokens of each; they come on top of the question's own max_length.
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
        """Ask for demonstrations; pose classification as a text with a gap."""
        require_one_data_set(task, "few_shot")
        _require_words(task, "few_shot")
        if task.name in (RUNNING_TEXT.name, MASKED_LM.name):
            raise UserError("method=few_shot shows solved examples, and running text has none: use method=zero_shot.")
        shown = replace(task, shots=self.shots, shot_tokens=self.shot_tokens)
        return self.cloze(shown, architecture) if task.name == CLASSIFICATION.name else shown
