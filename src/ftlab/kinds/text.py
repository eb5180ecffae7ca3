"""Task kind of running text for causal language modelling."""

from ftlab.config.task_kind import Head, Roles, TaskKind
from ftlab.record import MetricColumn

LANGUAGE_MODEL_COLUMNS = (
    MetricColumn(metric="loss", label="loss", higher_is_better=False),
    MetricColumn(metric="perplexity", label="perplexity", higher_is_better=False),
)

KIND = TaskKind(
    name="text",
    roles=Roles(required=("text",), inputs=("text",)),
    data="ftlab.data.text.TextData",
    head=Head(auto_class="AutoModelForCausalLM", peft_type="CAUSAL_LM", module="ftlab.tasks.language_model.CausalLM"),
    predicts="tokens",
    columns=(
        *LANGUAGE_MODEL_COLUMNS,
        MetricColumn(metric="bits_per_byte", label="bits/byte", higher_is_better=False),
    ),
    losses=("cross_entropy",),
    preview="ftlab.preview.running_text.RunningTextPreview",
    predict="ftlab.inference.generated.continue_text",
    usage="ftlab.inference.snippets.text_usage",
    rates_of="instruction",
    packs=True,
)
