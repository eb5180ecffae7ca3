"""Environment of a run: git state, package versions, process, processor."""

import os
import platform
import socket
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from ftlab.record import Process

PACKAGES = (
    "ftlab",
    "torch",
    "lightning",
    "transformers",
    "peft",
    "torchmetrics",
    "bitsandbytes",
    "datasets",
    "tokenizers",
    "hydra-core",
    "wandb",
)


def git_state(directory: Path) -> dict[str, Any] | None:
    """Return the commit, and whether the working tree is dirty; None outside a repository or without git."""
    try:
        commit = _git(directory, "rev-parse", "HEAD")
        dirty = bool(_git(directory, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": dirty}


def _git(directory: Path, *arguments: str) -> str:
    result = subprocess.run(
        ["git", "-C", str(directory), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return result.stdout.strip()


def package_versions() -> dict[str, str]:
    """Return the installed version of every package that can change a result."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def this_process() -> Process:
    """Return this process's identity; a pid is only unique together with host and start time."""
    process = psutil.Process()
    return Process(host=socket.gethostname(), pid=os.getpid(), started_at=process.create_time(), heartbeat=time.time())


def cpu_name() -> str:
    """Return the processor's name as the operating system reports it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
