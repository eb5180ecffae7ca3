"""Source of rows: call the function that `dataset.source._target_` names, and check what it returns."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sized
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_method, instantiate

from ftlab.core.errors import DataError, UserError, did_you_mean, reason
from ftlab.data.rows.row import SPLITS, BadRow, Row
from ftlab.data.sources import conll, files

# Source -> the function that returns the files of each split.
_RESOLVERS: dict[str, Callable[[Mapping[str, Any], str | None], object]] = {
    "ftlab.data.sources.files.read": files.resolve,
    "ftlab.data.sources.conll.read": lambda specs, _: conll.resolve(specs),
}
_UNSET = "???"  # OmegaConf's mark of a value that the user must give


def read_source(source: Mapping[str, Any]) -> dict[str, Iterable[Row | BadRow]]:
    """Return the rows of each split that the source has, in the order train, val, test; lazily.

    Args:
        source: `_target_`, the import path of a function that returns split -> rows, and its arguments.

    Raises:
        DataError: there is no such function, its arguments are wrong, or it returns no training rows.
    """
    target = source.get("_target_")
    if not target:
        raise DataError("dataset.source._target_ is not set: name a function, e.g. ftlab.data.sources.files.read.")
    try:
        function = get_method(target)
    except (InstantiationException, ImportError, ValueError) as error:
        problem = reason(error.__cause__ or error)
        raise DataError(f"dataset.source._target_={target} cannot be imported as a function ({problem}).") from None
    _check_arguments(function, {key: value for key, value in source.items() if key != "_target_"})
    try:
        splits = instantiate(dict(source), _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        raise
    if not isinstance(splits, dict) or not splits.get("train"):
        raise DataError(f"{target} returned no training rows: it must return a dict with rows under 'train'.")
    for split in splits:
        if split not in SPLITS:
            raise DataError(f"{target} returned a split {split!r}: {did_you_mean(split, SPLITS)}.")
        if isinstance(splits[split], Sized) and not splits[split]:
            raise DataError(f"{target} returned no {split} rows: leave the split out to have it carved from train.")
    return {split: splits[split] for split in SPLITS if split in splits}


def require_files(source: Mapping[str, Any]) -> None:
    """Check that the files exist that a source of ftlab names, before a run starts that would only then miss them.

    Raises:
        DataError: a file is missing, a pattern matches nothing, or a folder's files cannot be told apart.
    """
    resolve = _RESOLVERS.get(source.get("_target_", ""))
    specs = {split: source.get(split) for split in SPLITS}
    if resolve is not None and _UNSET not in specs.values():
        resolve(specs, source.get("format"))


def _check_arguments(function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    parameters = inspect.signature(function).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        for key in arguments:
            if key not in parameters:
                raise DataError(
                    f"dataset.source.{key} is not a setting of this source: {did_you_mean(key, parameters)}."
                )
    for key, parameter in parameters.items():
        required = parameter.default is parameter.empty and parameter.kind in (
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.KEYWORD_ONLY,
        )
        if arguments.get(key, _UNSET if required else None) == _UNSET:
            raise DataError(
                f"dataset.source.{key} is not set: set dataset.source.{key}=…, e.g. to the path of your file."
            )
