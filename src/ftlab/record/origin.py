"""Origin of weights that a run did not train from a base model alone, and the file that carries it in an export."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ftlab.core.errors import UserError

PROVENANCE_FILE = "ftlab.json"  # in an exported folder
_MAX_BYTES = 10_000  # of a file that may be anybody's

OriginKind = Literal["continued", "compressed", "merged", "foreign"]


class _Known(BaseModel):
    """Immutable values; unknown fields are left out, as a later version may have written them."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Parent(_Known):
    """Run whose weights another one came from."""

    run_id: str
    fingerprint: str | None = None
    method: str
    model: str  # its base


class Tool(_Known):
    """Program that wrote the weights."""

    name: str
    version: str | None = None


class Provenance(_Known):
    """Where the weights in a folder come from."""

    parent: Parent | None = None  # null: no run of ftlab that is known
    tool: Tool


class Origin(Provenance):
    """What a run came from, if it was not trained here from a base model alone.

    Kinds: `continued` began with the weights of a run, `compressed` made a run's model smaller, `merged` made one model
    of several, `foreign` was trained by another tool.
    """

    kind: OriginKind

    def __str__(self) -> str:
        """Return it in words, for reports."""
        tool = f"{self.tool.name} {self.tool.version or ''}".strip()
        if self.parent is None:
            return f"{self.kind}, by {tool}"
        return f"{self.kind} from {self.parent.run_id} ({self.parent.method} on {self.parent.model}), by {tool}"


def write_provenance(folder: Path, provenance: Provenance) -> None:
    """Write what the weights in an exported folder come from."""
    (folder / PROVENANCE_FILE).write_text(provenance.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_provenance(folder: Path) -> Provenance | None:
    """Return what the weights in a folder come from; None: the folder does not say.

    Raises:
        UserError: its file is not one that this ftlab can read.
    """
    path = folder / PROVENANCE_FILE
    if path.exists() and not path.is_file():  # opening a pipe would wait for a writer
        return None
    try:
        with path.open("rb") as stream:
            return Provenance.model_validate_json(stream.read(_MAX_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError):
        raise UserError(
            f"{PROVENANCE_FILE} in the model's folder is not a file of ftlab, so the record cannot say where the "
            "weights come from: remove it, or export the model again."
        ) from None
