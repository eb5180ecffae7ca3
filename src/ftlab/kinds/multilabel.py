"""Task kind of texts, or pairs of texts, with any number of labels each."""

from dataclasses import replace

from ftlab.config.task_kind import Roles
from ftlab.kinds.classification import KIND as CLASSIFICATION
from ftlab.record import MetricColumn

KIND = replace(
    CLASSIFICATION,
    name="multilabel",
    roles=Roles(required=("text", "labels"), optional=("text_pair", "slice"), inputs=("text", "text_pair")),
    data="ftlab.data.multilabel.MultilabelData",
    head=replace(CLASSIFICATION.head, module="ftlab.tasks.multilabel.Multilabel"),
    predicts="labels",
    columns=(
        MetricColumn(metric="micro_f1", label="micro-F1", higher_is_better=True),
        MetricColumn(metric="macro_f1", label="macro-F1", higher_is_better=True),
        MetricColumn(metric="subset_accuracy", label="subset accuracy", higher_is_better=True),
    ),
    loss_settings=("class_weights",),
    settings=(*CLASSIFICATION.settings, "label_separator"),
    preview="ftlab.preview.labels.LabelsPreview",
    predict="ftlab.inference.head_outputs.predict_labels",
    usage="ftlab.inference.snippets.labels_usage",
    cloze=False,
    demonstrations=False,
)
