"""What the configuration decides of a kind of data, beside what it decides of all."""

from typing import Any, ClassVar

from ftlab.data.rows import Columns, Reader, Roles
from ftlab.groups import DatasetConfig
from ftlab.tasks.spec import Task


class Kind:
    """The columns of a kind of data, and how they are read.

    Attributes:
        roles: the columns.
    """

    roles: ClassVar[Roles]

    @classmethod
    def readers(cls, config: DatasetConfig) -> dict[str, Reader]:
        """Return what makes text of columns that hold none, by role."""
        return {}

    @classmethod
    def arguments(cls, config: DatasetConfig, columns: Columns) -> dict[str, Any]:
        """Return what of the configuration the constructor takes; `columns`: role -> column, as settled."""
        return {}

    @classmethod
    def unanswered(cls, task: Task) -> tuple[dict[str, str], dict[str, Any]]:
        """Return what stands for the answer in rows that have none, and what the constructor cannot know from these.

        Args:
            task: of a run, with what its own rows told.

        Returns:
            Role -> text, which nothing reads, and arguments of the constructor.
        """
        return {}, {}
