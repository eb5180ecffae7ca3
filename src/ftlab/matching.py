"""What does not go together, though each setting is right by itself."""

from ftlab import models
from ftlab.errors import UserError
from ftlab.methods.base import TuningMethod
from ftlab.schema import RunConfig


def require_match(config: RunConfig, method: TuningMethod) -> None:
    """Refuse what the method cannot do, before anything is loaded.

    Raises:
        UserError: the weights would be sharded, or the cache left out, and the method needs them.
    """
    if method.reads_whole_weights and config.hardware.strategy == "fsdp":
        raise UserError(
            f"method={config.method.name} computes with whole weights, and under hardware.strategy=fsdp no process has "
            "them: use hardware.strategy=ddp, or method=lora."
        )
    if method.passes_through_cache and config.model.gradient_checkpointing:
        raise UserError(
            f"method={config.method.name} passes through the cache, which gradient checkpointing leaves out: set "
            "model.gradient_checkpointing=false, or use method=prompt."
        )


def require_room(config: RunConfig, base: models.Base, method: TuningMethod) -> None:
    """Refuse examples that do not fit beside what the method puts before them; the positions would run out.

    Raises:
        UserError: they do not fit.
    """
    positions, added = models.position_count(base.model), method.added_positions
    if added and positions is not None and config.max_length + added > positions:
        raise UserError(
            f"model={config.model.name} sees {positions} positions, method={config.method.name} takes {added} of them, "
            f"and max_length is {config.max_length}: set budget.max_length={positions - added}, or fewer virtual "
            "tokens."
        )
