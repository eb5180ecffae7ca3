"""Task kind of source texts with target texts, as in summarization and translation."""

from dataclasses import replace

from ftlab.config.task_kind import REFERENCES, Roles
from ftlab.kinds.instruction import KIND as INSTRUCTION
from ftlab.kinds.instruction import ROUGE_L
from ftlab.record import MetricColumn

KIND = replace(
    INSTRUCTION,
    name="seq2seq",
    roles=Roles(required=("source", "target"), inputs=("source",), sparse=(REFERENCES,), referenced="target"),
    data="ftlab.data.seq2seq.Seq2SeqData",
    generation_columns=(
        ROUGE_L,
        MetricColumn(metric="bleu", label="BLEU", higher_is_better=True),
        MetricColumn(metric="chrf", label="chrF", higher_is_better=True),
    ),
    settings=(*INSTRUCTION.settings, "prefix"),
)
