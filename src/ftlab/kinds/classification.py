"""Task kind of texts, or pairs of texts, with one class each."""

from ftlab.config.task_kind import Head, Roles, TaskKind
from ftlab.record import MetricColumn

KIND = TaskKind(
    name="classification",
    roles=Roles(
        required=("text", "label"), optional=("text_pair", "slice"), inputs=("text", "text_pair"), unjoined=("label",)
    ),
    data="ftlab.data.classification.ClassificationData",
    head=Head(
        auto_class="AutoModelForSequenceClassification",
        peft_type="SEQ_CLS",
        module="ftlab.tasks.classification.Classification",
    ),
    predicts="class",
    columns=(
        MetricColumn(metric="accuracy", label="accuracy", higher_is_better=True),
        MetricColumn(metric="macro_f1", label="macro-F1", higher_is_better=True),
    ),
    losses=("cross_entropy", "focal"),
    loss_settings=("class_weights", "label_smoothing", "contrastive"),
    settings=("label_names", "truncation"),
    preview="ftlab.preview.labels.ClassPreview",
    predict="ftlab.inference.head_outputs.predict_class",
    usage="ftlab.inference.snippets.class_usage",
    rates_of="classification",
    cloze=True,
    demonstrations=True,
)
