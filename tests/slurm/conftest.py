"""A real Slurm of two virtual nodes on this machine, for the tests that submit jobs."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

DEV_SLURM = Path(__file__).parents[2] / "scripts" / "dev_slurm"


def _lacking() -> str:
    """Return why Slurm cannot start here, nothing where it can."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [tool for tool in ("munged", "slurmctld", "slurmd", "srun") if not shutil.which(tool, path=path)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    return "" if os.geteuid() == 0 else "only root can start Slurm's daemons"


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield the folder of a Slurm that the commands of this process, and of those it starts, talk to."""
    if lacking := _lacking():
        pytest.skip(lacking)
    folder = tmp_path_factory.mktemp("slurm")
    try:
        subprocess.run([DEV_SLURM, "up", folder], check=True, stdout=subprocess.DEVNULL, timeout=600)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
            patch.setenv("PATH", str(folder / "bin"), prepend=os.pathsep)
            yield folder
    finally:
        subprocess.run([DEV_SLURM, "down", folder], check=True, timeout=600)
