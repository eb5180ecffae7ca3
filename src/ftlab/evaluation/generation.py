"""Evaluation of generated text: responses of the trained model to the first test examples."""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from torch import nn
from torch.distributed.tensor import DTensor

from ftlab.config.groups import GenerateConfig
from ftlab.core.callback import RunCallback, run_clock, run_stages
from ftlab.core.phase_clock import GENERATED_TOKENS
from ftlab.core.run_stage import Stage
from ftlab.core.shorten import shorten_text
from ftlab.data.generative import GenerativeData, PromptWithReference
from ftlab.data.rows.excerpt import join_references, make_excerpt
from ftlab.evaluation.batches import evenly_spaced
from ftlab.methods.base import TuningMethod
from ftlab.models import Base
from ftlab.record import GENERATE, Metric, Sample
from ftlab.tasks.base import TaskModule
from ftlab.tasks.generation import GenerationPrompt, generate_texts

_TIMED_TEXTS, _TIMED_TOKENS = 16, 8  # for `predicted_seconds`
_SAMPLES = 3  # generated texts in the record
_SAMPLE_CHARACTERS = 600  # of each


class GenerationEvaluation(RunCallback):
    """Callback that generates text in the final test and adds its metrics to those of the test.

    All ranks generate the same texts, as all evaluate every row. A model with sharded weights generates nothing: the
    ranks would have to agree on every step.

    Attributes:
        samples: the first generated texts.
    """

    def __init__(
        self,
        examples: Sequence[PromptWithReference | None],
        base: Base,
        method: TuningMethod,
        *,
        max_new_tokens: int,
        batch_size: int,
    ) -> None:
        """Take the prompts of the first test examples; None for an example without one."""
        self.samples: list[Sample] = []
        self._examples = {index: example for index, example in enumerate(examples) if example is not None}
        self._base = base
        self._method = method
        self._max_new_tokens = max_new_tokens
        self._batch_size = batch_size
        self._metrics: dict[str, Metric] = {}
        # imports NLTK, which takes a second: only if text is generated, and outside the time that is measured
        from ftlab.tasks import text_metrics

        self._text_metrics = text_metrics

    def predicted_seconds(self, trainer: Trainer, model: nn.Module) -> float:
        """Return how long the generation would take if every text had its largest number of tokens.

        It is extrapolated from the first tokens of some texts. Sharded weights generate nothing.

        Args:
            trainer: of the model.
            model: in evaluation mode.
        """
        prompts = _prompts(evenly_spaced(list(self._examples.values()), _TIMED_TEXTS))
        if not prompts:
            return 0.0
        num_tokens = min(_TIMED_TOKENS, self._max_new_tokens)
        self._timed(trainer, model, prompts[:1], 1)  # a warm-up
        first_s = self._timed(trainer, model, prompts, 1)
        if num_tokens > 1:
            token_s = (self._timed(trainer, model, prompts, num_tokens) - first_s) / (num_tokens - 1)
            first_s += max(0.0, token_s) * (self._max_new_tokens - 1)
        return first_s * len(self._examples) / len(prompts)

    def _timed(
        self, trainer: Trainer, model: nn.Module, prompts: Sequence[GenerationPrompt], max_new_tokens: int
    ) -> float:
        began = time.perf_counter()
        self._generate(trainer, model, prompts, max_new_tokens)  # decoded texts are on the CPU: nothing to wait for
        return time.perf_counter() - began

    def _generate(
        self,
        trainer: Trainer,
        model: nn.Module,
        prompts: Sequence[GenerationPrompt],
        max_new_tokens: int,
        **progress: Callable[..., None],
    ) -> list[str]:
        with trainer.precision_plugin.forward_context():
            return generate_texts(
                model,
                self._base,
                self._method,
                prompts,
                max_new_tokens=max_new_tokens,
                batch_size=self._batch_size,
                **progress,
            )

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Generate and score texts, and add them to the predictions."""
        assert isinstance(pl_module, TaskModule)
        if any(isinstance(parameter, DTensor) for parameter in pl_module.model.parameters()):
            self._metrics = self._text_metrics.undefined_metrics("sharded weights write no text")
            return
        examples = list(self._examples.values())
        clock, stages = run_clock(trainer), run_stages(trainer)
        with stages.within(Stage.GENERATING, len(examples)), clock.phase(GENERATE):
            generated = self._generate(
                trainer,
                pl_module.model,
                _prompts(examples),
                self._max_new_tokens,
                advance_by_tokens=stages.advance,
                count_tokens=partial(clock.count, GENERATED_TOKENS),
            )
        expected = [example.references for example in examples]
        scores = self._text_metrics.score_each_text(generated, expected)
        self._metrics = self._text_metrics.corpus_metrics(generated, expected, scores)
        columns = {
            index: {**_excerpt(example), "generated": text, **text_scores}
            for (index, example), text, text_scores in zip(self._examples.items(), generated, scores, strict=True)
        }
        empty_columns = dict.fromkeys(("generated", *self._text_metrics.PER_TEXT_METRICS))
        for row in pl_module.predictions:
            row |= columns.get(row["index"], empty_columns)
        self.samples = [
            Sample(
                prompt=shorten_text(example.prompt, _SAMPLE_CHARACTERS),
                expected=join_references(example.references, _SAMPLE_CHARACTERS),
                written=shorten_text(text, _SAMPLE_CHARACTERS),
            )
            for example, text in islice(zip(examples, generated, strict=True), _SAMPLES)
        ]
        values = {f"test/{name}": metric.value for name, metric in self._metrics.items() if metric.value is not None}
        pl_module.log_dict(values, sync_dist=False, rank_zero_only=False)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the metrics to those of the test, which are complete by now."""
        assert isinstance(pl_module, TaskModule)
        pl_module.results["test"].update(self._metrics)

    def record_fields(self, trainer: Trainer) -> dict[str, Any]:
        """Return the first generated texts."""
        return {"samples": self.samples}


def _prompts(examples: Iterable[PromptWithReference]) -> list[GenerationPrompt]:
    return [GenerationPrompt(example.input_ids, example.stop_id, example.opening_ids) for example in examples]


def build_generation_evaluation(
    generate: GenerateConfig, datamodule: LightningDataModule, base: Base, method: TuningMethod, *, batch_size: int
) -> GenerationEvaluation | None:
    """Return the callback, if the task is generative and `generate.rows` is not 0; mixtures have none."""
    if not isinstance(datamodule, GenerativeData) or not generate.rows:
        return None
    examples = list(
        islice(datamodule.prompts_with_references(base.tokenizer, datamodule.splits["test"]), generate.rows)
    )
    return GenerationEvaluation(examples, base, method, max_new_tokens=generate.max_new_tokens, batch_size=batch_size)


def _excerpt(example: PromptWithReference) -> dict[str, str | None]:
    """Return the prompt that was answered, which in a truncated conversation is not the last, and what was expected."""
    excerpt = make_excerpt([example.prompt, example.input], "", example.references)
    return {"text": excerpt.text, "expected": excerpt.expected}
