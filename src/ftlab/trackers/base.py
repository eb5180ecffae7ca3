"""Base class of the trackers. Imports nothing heavy: it is checked before torch is loaded."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ftlab.comparison import ComparisonTables
from ftlab.config.groups import TrackerConfig
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import UserError
from ftlab.record import RunRecord

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


class Tracker(ABC):
    """A place to which runs are logged. The caller turns its exceptions into warnings of the run.

    Attributes:
        package: the module that must be importable.
        extra: the extra of ftlab that installs it; None if ftlab itself depends on it.
        tracker_config: the group `tracker` of the configuration.
    """

    package: ClassVar[str]
    extra: ClassVar[str | None] = None

    def __init__(self, tracker_config: TrackerConfig) -> None:
        """Keep the configuration; nothing is opened yet."""
        self.tracker_config = tracker_config

    def require(self) -> None:
        """Raise a UserError if the tracker cannot be used on this machine."""
        if find_spec(self.package) is None:
            raise UserError(
                f"tracker={self.tracker_config.name} needs {self.package}: run "
                f'`pip install "ftlab[{self.extra}]"`, or use another tracker.'
            )

    @abstractmethod
    def start(self, config: RunConfig, record: RunRecord, directory: Path) -> "Logger":
        """Open the run, or reopen it after an interruption, and return the logger for the Trainer."""

    @abstractmethod
    def finish(self, logger: Any, record: RunRecord, directory: Path) -> None:
        """Log the results in `record` and close the run."""

    def publish(self, comparison: ComparisonTables, directory: Path, paths: Sequence[Path]) -> None:  # noqa: B027
        """Log the comparison of a sweep whose folder is `directory`; `paths` are its files. Default: nothing."""

    @classmethod
    @abstractmethod
    def viewing_hint(cls, folder: Path) -> str | None:
        """Return a sentence with the command that shows the tracker's data under `folder`; None without data."""
