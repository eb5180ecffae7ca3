"""What a tracker is. Imports nothing heavy: whether a tracker can be used is asked before torch is loaded."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ftlab.compare import Comparison
from ftlab.errors import UserError
from ftlab.groups import TrackerConfig
from ftlab.record import RunRecord
from ftlab.schema import RunConfig

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


class Tracker(ABC):
    """Logs runs somewhere. What it raises becomes a warning of the run: none of it needs to be caught here.

    Attributes:
        package: the module that must be importable.
        extra: the extra of ftlab that installs it; None: ftlab always does.
        settings: the group `tracker` of the configuration.
    """

    package: ClassVar[str]
    extra: ClassVar[str | None] = None

    def __init__(self, settings: TrackerConfig) -> None:
        """Keep the settings; nothing is opened yet."""
        self.settings = settings

    def require(self) -> None:
        """Raise a UserError where the tracker cannot be used on this machine."""
        if find_spec(self.package) is None:
            raise UserError(
                f'tracker={self.settings.name} needs {self.package}: run `pip install "ftlab[{self.extra}]"`, or use '
                "another tracker."
            )

    @abstractmethod
    def start(self, config: RunConfig, record: RunRecord, directory: Path) -> "Logger":
        """Open the run, or open it again after an interruption, and return the logger that the Trainer is given."""

    @abstractmethod
    def finish(self, logger: Any, record: RunRecord, directory: Path) -> None:
        """Log what the run came to, which `record` knows, and close it."""

    def publish(self, comparison: Comparison, directory: Path, paths: Sequence[Path]) -> None:  # noqa: B027
        """Log the comparison of a sweep whose folder is `directory`; `paths` are its files. Default: nothing."""

    @classmethod
    @abstractmethod
    def shown(cls, folder: Path) -> str | None:
        """Return a sentence on where under `folder` its data lies and what shows it; None where there is none."""
