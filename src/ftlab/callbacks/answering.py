"""Has the trained model answer the first test examples, and measures what it writes."""

from collections.abc import Sequence
from itertools import islice

from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from torch.distributed.tensor import DTensor

from ftlab.data.answered import AnsweredData, Question
from ftlab.groups import GenerateConfig
from ftlab.methods.base import TuningMethod
from ftlab.models import Base
from ftlab.record import Metric, Sample
from ftlab.tasks.base import TaskModule
from ftlab.tasks.generation import Prompt, continued

_SAMPLES = 3  # of them stand in the record
_LONGEST = 600  # characters of each


class Answering(Callback):
    """Part of the final test, and timed as such: comes before the cost meter in the list of callbacks.

    All ranks write the same, as all evaluate every row. A model whose weights are shared out over the ranks writes
    nothing: the ranks would have to agree on every step.

    Attributes:
        samples: the first answers.
    """

    def __init__(
        self, questions: Sequence[Question | None], base: Base, method: TuningMethod, *, most: int, batch_size: int
    ) -> None:
        """Take what the first test examples ask; None: nothing."""
        self.samples: list[Sample] = []
        self._asked = {index: question for index, question in enumerate(questions) if question is not None}
        self._base = base
        self._method = method
        self._most = most
        self._batch_size = batch_size
        self._metrics: dict[str, Metric] = {}
        # with NLTK it takes a second to import; here, before time is measured, and only where there is text to measure
        from ftlab.tasks import text_metrics

        self._measures = text_metrics

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write and measure; the answers go into the predictions."""
        assert isinstance(pl_module, TaskModule)
        if any(isinstance(parameter, DTensor) for parameter in pl_module.model.parameters()):
            self._metrics = self._measures.missing("sharded weights write no text")
            return
        asked = list(self._asked.values())
        prompts = [Prompt(question.read, question.end, question.opening) for question in asked]
        with trainer.precision_plugin.forward_context():
            written = continued(
                pl_module.model,
                self._base,
                self._method,
                prompts,
                max_new_tokens=self._most,
                batch_size=self._batch_size,
            )
        expected = [question.expected for question in asked]
        scores = self._measures.scored_each(written, expected)
        self._metrics = self._measures.scored(written, expected, scores)
        found = {index: {"generated": text, **of} for index, text, of in zip(self._asked, written, scores, strict=True)}
        nothing = dict.fromkeys(("generated", *self._measures.OF_EACH))
        for row in pl_module.predictions:
            row |= found.get(row["index"], nothing)
        self.samples = [
            Sample(prompt=_short(question.asked), expected=_short(question.expected), written=_short(text))
            for question, text in islice(zip(asked, written, strict=True), _SAMPLES)
        ]
        values = {f"test/{name}": metric.value for name, metric in self._metrics.items() if metric.value is not None}
        pl_module.log_dict(values, sync_dist=False, rank_zero_only=False)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the metrics beside those of the test, which are there by now."""
        assert isinstance(pl_module, TaskModule)
        pl_module.results["test"].update(self._metrics)


def answering(
    generate: GenerateConfig, rows: LightningDataModule, base: Base, method: TuningMethod, *, batch_size: int
) -> list[Answering]:
    """Return the callback for data with answers, of which some are to be written; a mixture has none."""
    if not isinstance(rows, AnsweredData) or not generate.rows:
        return []
    questions = list(islice(rows.questions(base.tokenizer, rows.splits["test"]), generate.rows))
    return [Answering(questions, base, method, most=generate.max_new_tokens, batch_size=batch_size)]


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
