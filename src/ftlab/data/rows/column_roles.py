"""Columns of a data module: mixin with the converters and constructor arguments that depend on the task kind."""

from collections.abc import Iterable
from typing import Any, ClassVar

from ftlab.config.groups import DatasetConfig
from ftlab.config.task import Task
from ftlab.config.task_kind import TaskKind
from ftlab.data.rows.excerpt import Excerpt, make_excerpt
from ftlab.data.rows.remarks import Remarks
from ftlab.data.rows.row import BadRow, Columns, Converter, Row


def is_ours(data_module: type) -> bool:
    """Return whether a class is ftlab's own, so that what it makes of rows may be cached: a user's code may change."""
    return data_module.__module__.startswith("ftlab.")


class ColumnRoles:
    """Mixin of `DataModule`: the columns that a task reads, and how they are read.

    Attributes:
        kind: the task kind, with the roles of the columns.
    """

    kind: ClassVar[TaskKind]

    @classmethod
    def converters(cls, config: DatasetConfig) -> dict[str, Converter]:
        """Return role -> function that turns values which are not text into text."""
        return {}

    @classmethod
    def prepare_rows(
        cls, rows: Iterable[Row | BadRow], columns: Columns, config: DatasetConfig, remarks: Remarks
    ) -> Iterable[Row | BadRow]:
        """Return the rows of a split as `map_rows` takes them, and collect remarks on them.

        Args:
            rows: as the source has them.
            columns: role -> column, after detection.
            config: of the data set.
            remarks: collects notes and doubts while the rows are read.
        """
        return rows

    @classmethod
    def init_args(cls, config: DatasetConfig, columns: Columns) -> dict[str, Any]:
        """Return the constructor's arguments that depend on the task's own settings.

        Args:
            config: of the data set.
            columns: role -> column, after detection.
        """
        return {}

    @classmethod
    def label_placeholders(cls, task: Task) -> tuple[dict[str, str], dict[str, Any]]:
        """Return placeholders for the labels of rows without labels, as needed for inference.

        Args:
            task: of a finished run, with what was learned from its own rows, as the names of the classes.

        Returns:
            Role -> placeholder text, which is never read, and constructor arguments that cannot be derived from it.
        """
        return {}, {}

    def excerpts_of_row(self, row: Row) -> list[Excerpt]:
        """Return what readers see of each example that a row becomes: by default of one, the roles that are input."""
        values = [row.values.get(role) or "" for role in self.kind.roles.inputs]
        return [make_excerpt([value if isinstance(value, str) else " ".join(value) for value in values], row.where)]
