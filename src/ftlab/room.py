"""Whether an example finds room among the positions that a model sees."""

from ftlab import models
from ftlab.errors import UserError
from ftlab.methods.base import TuningMethod
from ftlab.schema import RunConfig


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
