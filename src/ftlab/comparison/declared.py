"""Reference row and margin of a comparison, as the sweep's configuration declared them or as asked for afterwards."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isinf

from ftlab.comparison.formats import printable
from ftlab.comparison.stats.metric_range import largest_difference, metric_range
from ftlab.comparison.tables import ComparedRun, Table
from ftlab.core.errors import UserError

_DEFAULT_MARGIN = 0.01  # of a metric between 0 and 1
_SHARES = (0.0, 1.0)

MarginText = str | float | None


@dataclass(frozen=True)
class Decision:
    """What a comparison decides about; None: the default.

    Attributes:
        reference: method or label of the row that the others are tested against.
        margin: rows at most this far behind count as as good: in the metric's unit, or `1%` of its range.
    """

    reference: str | None = None
    margin: MarginText = None


AS_DECLARED = Decision()


def declared_decision(table: Table) -> Decision:
    """Return what the configuration of the table's oldest run declares; the record of an older version declares none.

    The oldest run counts because what is set after results are known is no declaration.
    """
    return _declared_by(min(table.runs, key=lambda run: run.record.started_at))


def several_declarations(table: Table) -> list[str]:
    """Return a sentence on which declaration counts if the table's runs have different ones; else nothing."""
    decision = declared_decision(table)
    if all(_declared_by(run) == decision for run in table.runs):
        return []
    settings = {"compare.reference": decision.reference, "compare.margin": decision.margin}
    values = " and ".join(
        f"{name}={'null' if value is None else printable(str(value))}" for name, value in settings.items()
    )
    return [f"The runs declare different references or margins; what the oldest one declares counts: {values}."]


def _declared_by(run: ComparedRun) -> Decision:
    settings = run.record.config.get("compare")
    return Decision(settings.get("reference"), settings.get("margin")) if isinstance(settings, dict) else Decision()


def margin_value(margin: MarginText, metric: str) -> float | None:
    """Return a margin in the metric's unit; None if none was given and the metric has no default.

    Args:
        margin: a number in the metric's unit or `1%` of the metric's range, also as text; None: the default.
        metric: name of the metric.

    Raises:
        UserError: it is no number above 0, or not within the metric's range.
    """
    if margin is None:
        return _DEFAULT_MARGIN if metric_range(metric) == _SHARES else None
    width = largest_difference(metric)
    text = printable(str(margin))
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        raise UserError(
            f"a margin of {text or 'nothing'} is no number: give one such as 0.01, or 1% of the metric's range."
        ) from None
    if text.endswith("%"):
        if isinf(width):
            raise UserError(f"a margin of {text} needs a range, and {metric} has none: give it in {metric}'s unit.")
        value *= width / 100
    if not 0 < value < width:
        limit = "a number above 0" if isinf(width) else f"above 0 and below {width:g}, the range of {metric}"
        raise UserError(f"a margin of {text} is not possible for {metric}: it must be {limit}, such as 0.01.")
    return value


def check_margin(margin: MarginText, metrics: Iterable[str]) -> None:
    """Check that a margin is possible for at least one of the metrics, which may be none.

    Raises:
        UserError: it is not.
    """
    errors = []
    for metric in metrics:
        try:
            margin_value(margin, metric)
        except UserError as error:
            errors.append(error)
        else:
            return
    if errors:
        raise errors[0]
