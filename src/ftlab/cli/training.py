"""`train.py` and `ftlab train`: from arguments, by way of Hydra, to runs. Imports no torch."""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig

from ftlab.cli.telling import telling_errors
from ftlab.composition import resolve
from ftlab.errors import ConfigError
from ftlab.launch import server
from ftlab.paths import conf_dir
from ftlab.schema import RunConfig


def train(arguments: list[str] | None = None) -> None:
    """Run what the command line asks for: one experiment, or with `-m` one per combination, and compare them."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if {"-h", "--help"} & set(arguments):
        from ftlab.cli import help

        help.show(conf_dir())
        return
    if _runs_here(arguments):
        server.begin()
    telling_errors(lambda: through_hydra(arguments, _run_single))


def _runs_here(arguments: list[str]) -> bool:
    """Whether jobs may be started on this machine, as far as it can be told before anything is composed."""
    elsewhere = [one for one in arguments if one.startswith("hydra/launcher=") and one != "hydra/launcher=local"]
    return not elsewhere and {one for one in arguments if one.startswith("-")} <= {"-m", "--multirun"}


def through_hydra(arguments: list[str], act: Callable[[RunConfig], None]) -> None:
    """Do what `hydra.main` does, which wants flags before overrides, and arguments that are not behind a subcommand."""
    from hydra import version
    from hydra._internal.utils import _run_hydra, get_args_parser

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's exceptions come through: they are told in one sentence here
    version.setbase("1.3")
    parser = get_args_parser()
    parsed = parser.parse_intermixed_args(arguments)
    asked = [flag for flag in ("--run", "--multirun", "--cfg", "--info") if getattr(parsed, flag[2:])]
    if len(asked) > 1:
        raise ConfigError(f"{' and '.join(asked)} exclude each other: give one of them.")
    if parsed.resolve and not parsed.cfg:
        raise ConfigError("--resolve has no effect without --cfg: add --cfg job.")
    single: list[DictConfig] = []  # with -m the launcher runs the jobs, and this stays empty
    with tempfile.TemporaryDirectory() as scratch:  # for the multirun.yaml that a sweeper writes before any check
        if parsed.multirun:
            parsed.overrides = _with_swept_groups(parsed.overrides)
        parsed.overrides.insert(0, f"hydra.sweep.dir='{scratch}'")
        task = _refuse_other_launchers if parsed.multirun else single.append
        _run_hydra(parsed, parser, task, config_path=str(conf_dir()), config_name="train")
    for config in single:
        chosen = [text for text in parsed.overrides if text.startswith("hydra/launcher=")]
        if chosen and chosen[-1] != "hydra/launcher=local":
            raise ConfigError(f"{chosen[-1]} has no effect without -m: add -m, for one job too.")
        act(resolve(config))


def _refuse_other_launchers(_: DictConfig) -> None:
    """Stand where a launcher puts its own way of running a job: ftlab's launchers never come here."""
    raise ConfigError(
        "this hydra/launcher would not keep the processes of several jobs apart: use local, submitit_slurm or ray."
    )


def _with_swept_groups(overrides: list[str]) -> list[str]:
    """Have Hydra put settings of a swept group to each job's choice: `method=prefix,prompt method.frozen=true`.

    It would put them to the default choice first, which may not have them. As a sweep over one value they wait.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(overrides)
    swept = tuple(f"{one.key_or_group}." for one in parsed if one.is_sweep_override() and "." not in one.key_or_group)
    return [
        f"{text.partition('=')[0]}=choice({text.partition('=')[2]})"
        if one.key_or_group.startswith(swept) and not one.is_sweep_override() and not one.is_delete()
        else text
        for text, one in zip(overrides, parsed, strict=True)
    ]


def _run_single(config: RunConfig) -> None:
    """Run one experiment: a sweep of one."""
    from ftlab.launch.local import LocalExecutor
    from ftlab.planning import planned
    from ftlab.search.rates import run_jobs
    from ftlab.sweep import JobsFailed

    directory = Path(config.sweep.dir)
    if not planned([config], directory, LocalExecutor(at_once=1)):
        return
    records = run_jobs([config], directory, lambda: LocalExecutor(at_once=1))
    if any(record.status != "completed" for record in records):
        raise JobsFailed("the job did not complete: see the table above.")
