"""Task kind of prompts with responses, and of conversations of several turns."""

from ftlab.config.task_kind import REFERENCES, Head, Roles, TaskKind
from ftlab.kinds.text import LANGUAGE_MODEL_COLUMNS
from ftlab.record import MetricColumn

ROUGE_L = MetricColumn(metric="rouge_l", label="ROUGE-L", higher_is_better=True)

KIND = TaskKind(
    name="instruction",
    roles=Roles(
        required=("prompt", "response"),
        optional=("input",),
        inputs=("prompt", "input"),
        conversation="messages",
        sparse=("system", "history", REFERENCES),
        referenced="response",
    ),
    data="ftlab.data.instruction.InstructionData",
    head=Head(auto_class="AutoModelForCausalLM", peft_type="CAUSAL_LM", module="ftlab.tasks.language_model.CausalLM"),
    encoder_decoder_head=Head(
        auto_class="AutoModelForSeq2SeqLM", peft_type="SEQ_2_SEQ_LM", module="ftlab.tasks.language_model.Seq2Seq"
    ),
    predicts="tokens",
    columns=LANGUAGE_MODEL_COLUMNS,
    generation_columns=(ROUGE_L,),
    losses=("cross_entropy",),
    settings=("template", "system", "loss_on", "truncation"),
    preview="ftlab.preview.kind_preview.TokensPreview",
    predict="ftlab.inference.generated.answer",
    usage="ftlab.inference.snippets.response_usage",
    rates_of="instruction",
    packs=True,
    demonstrations=True,
)
