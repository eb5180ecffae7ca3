"""Base models: where they come from, how they are loaded and quantised, and where their parts are."""

from ftlab.models.load import Base, architecture, load, outline
from ftlab.models.quantise import base_weight_bytes
from ftlab.models.structure import blocks, head_names, position_count

__all__ = ["Base", "architecture", "base_weight_bytes", "blocks", "head_names", "load", "outline", "position_count"]
