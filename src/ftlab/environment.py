"""Where and with what a run happened: git state, package versions, hardware."""

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
    """Return commit and whether the tree differs from it; None outside a repository or without git."""
    try:
        commit = _git(directory, "rev-parse", "HEAD")
        dirty = bool(_git(directory, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": dirty}


def _git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def package_versions() -> dict[str, str]:
    """Return the installed version of everything that can move a result."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def this_process() -> Process:
    """Return this process's identity: a pid means nothing without host and start time."""
    process = psutil.Process()
    return Process(host=socket.gethostname(), pid=os.getpid(), started_at=process.create_time(), heartbeat=time.time())


def cpu_name() -> str:
    """Return the processor's name as the machine tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
