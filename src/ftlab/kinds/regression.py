"""Task kind of texts, or pairs of texts, with one number each, or several."""

from dataclasses import replace

from ftlab.config.task_kind import Roles
from ftlab.kinds.classification import KIND as CLASSIFICATION
from ftlab.record import MetricColumn

KIND = replace(
    CLASSIFICATION,
    name="regression",
    roles=Roles(required=("text", "target"), optional=("text_pair", "slice"), inputs=("text", "text_pair")),
    data="ftlab.data.regression.RegressionData",
    head=replace(CLASSIFICATION.head, module="ftlab.tasks.regression.Regression"),
    predicts="numbers",
    columns=(
        MetricColumn(metric="spearman", label="Spearman", higher_is_better=True),
        MetricColumn(metric="pearson", label="Pearson", higher_is_better=True),
        MetricColumn(metric="mae", label="MAE", higher_is_better=False),
    ),
    losses=("mse", "mae", "huber"),
    loss_settings=(),
    settings=(*CLASSIFICATION.settings, "standardise"),
    preview="ftlab.preview.labels.NumbersPreview",
    predict="ftlab.inference.head_outputs.predict_numbers",
    usage="ftlab.inference.snippets.numbers_usage",
    cloze=False,
    demonstrations=False,
)
