"""Task kind of several data sets on one model, each of its own kind."""

from ftlab.config.task_kind import Head, Roles, TaskKind

KIND = TaskKind(
    name="mixture",
    roles=Roles(required=()),
    data="ftlab.data.mixture.MixtureData",
    head=Head(  # auto class and PEFT's type are those of the parts
        auto_class="AutoModelForSequenceClassification", peft_type="SEQ_CLS", module="ftlab.tasks.mixture.Mixture"
    ),
    predicts="other",
    columns=(),
    preview=None,
    predict=None,
    usage="ftlab.inference.snippets.parts_usage",
    rates_of="classification",
    mixes=False,
    mixture=True,
)
