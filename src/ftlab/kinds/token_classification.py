"""Task kind of sentences with a tag for each word: named entities, parts of speech."""

from ftlab.config.task_kind import Head, Roles, TaskKind
from ftlab.record import MetricColumn

KIND = TaskKind(
    name="token_classification",
    roles=Roles(required=("tokens", "tags"), inputs=("tokens",), lists=("tokens", "tags")),
    data="ftlab.data.token_classification.TokenClassificationData",
    head=Head(
        auto_class="AutoModelForTokenClassification",
        peft_type="TOKEN_CLS",
        module="ftlab.tasks.token_classification.TokenClassification",
    ),
    predicts="tags",
    columns=(  # for entity labels; for others the data module uses TOKEN_ACCURACY_COLUMNS
        MetricColumn(metric="f1", label="entity F1", higher_is_better=True),
        MetricColumn(metric="precision", label="precision", higher_is_better=True),
        MetricColumn(metric="recall", label="recall", higher_is_better=True),
    ),
    losses=("cross_entropy",),
    settings=("label_names", "tag_scheme"),
    preview="ftlab.preview.tags.TagsPreview",
    predict="ftlab.inference.entities.predict_tags",
    usage="ftlab.inference.snippets.tags_usage",
    rates_of="classification",
    preload=("seqeval.metrics",),
)

TOKEN_ACCURACY_COLUMNS = (  # for labels that mark no entities, such as parts of speech
    MetricColumn(metric="token_accuracy", label="token accuracy", higher_is_better=True),
    MetricColumn(metric="macro_f1", label="macro-F1", higher_is_better=True),
)
