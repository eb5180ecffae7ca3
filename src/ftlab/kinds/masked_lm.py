"""Task kind of running text for masked language modelling."""

from dataclasses import replace

from ftlab.config.task_kind import Head
from ftlab.kinds.text import KIND as TEXT
from ftlab.kinds.text import LANGUAGE_MODEL_COLUMNS

KIND = replace(
    TEXT,
    name="masked_lm",
    data="ftlab.data.text.MaskedTextData",
    head=Head(
        auto_class="AutoModelForMaskedLM",
        peft_type="FEATURE_EXTRACTION",  # PEFT has no type for masked LMs; this one passes all inputs through
        module="ftlab.tasks.language_model.MaskedLM",
    ),
    columns=LANGUAGE_MODEL_COLUMNS,
    predict=None,
    usage="ftlab.inference.snippets.masked_usage",
    packs=False,
    masks=True,
    mixes=False,
)
