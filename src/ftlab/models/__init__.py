"""Base models: resolving, loading and quantising them, and finding their blocks and heads."""

from ftlab.models.load import Base, architecture, load_base_model, load_task_and_tokenizer
from ftlab.models.quantise import base_weight_bytes
from ftlab.models.structure import blocks, head_names, position_count

__all__ = [
    "Base",
    "architecture",
    "base_weight_bytes",
    "blocks",
    "head_names",
    "load_base_model",
    "load_task_and_tokenizer",
    "position_count",
]
