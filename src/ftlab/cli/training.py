"""Command `ftlab train`, also `train.py`: composition by Hydra, then one run or a sweep. Imports no torch."""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig

from ftlab.cli.error_messages import report_errors
from ftlab.config.compose import resolve
from ftlab.config.kind_modules import kind_files
from ftlab.config.kinds import register_kinds
from ftlab.config.paths import conf_dir
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import ConfigError
from ftlab.launch import forkserver


def train(arguments: list[str] | None = None) -> None:
    """Run one experiment, or with `-m` one per combination, and compare them."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if {"-h", "--help"} & set(arguments):
        from ftlab.cli import help

        help.print_help(conf_dir())
        return
    if _may_run_locally(arguments):
        forkserver.start()
    report_errors(lambda: run_with_hydra(arguments, _run_single))


def _may_run_locally(arguments: list[str]) -> bool:
    """Return whether jobs may start on this machine, judged by the arguments before composition."""
    launchers = {argument for argument in arguments if argument.startswith("hydra/launcher=")}
    flags = {argument for argument in arguments if argument.startswith("-")}
    return launchers <= {"hydra/launcher=local"} and flags <= {"-m", "--multirun"}


def run_with_hydra(arguments: list[str], act: Callable[[RunConfig], None]) -> None:
    """Compose `arguments` with Hydra and call `act` with the configuration of a single run.

    Replaces `hydra.main`, which expects flags before overrides, and no subcommand ahead of them.
    """
    from hydra import version
    from hydra._internal.utils import _run_hydra, get_args_parser

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its exceptions, which `report_errors` reports
    version.setbase("1.3")
    parser = get_args_parser()
    parsed = parser.parse_intermixed_args(arguments)
    modes = [flag for flag in ("--run", "--multirun", "--cfg", "--info") if getattr(parsed, flag[2:])]
    if len(modes) > 1:
        raise ConfigError(f"{' and '.join(modes)} exclude each other: give one of them.")
    if parsed.resolve and not parsed.cfg:
        raise ConfigError("--resolve has no effect without --cfg: add --cfg job.")
    if parsed.config_dir and (folder := Path(parsed.config_dir) / "kinds").is_dir():
        register_kinds(kind_files(folder))
        parsed.overrides = _register_typed_kinds(parsed.overrides)
    single: list[DictConfig] = []  # stays empty with -m, where the launcher runs the jobs
    with tempfile.TemporaryDirectory() as scratch:  # for multirun.yaml, which a sweeper writes before any check
        if parsed.multirun:
            parsed.overrides = _with_swept_groups(parsed.overrides)
        parsed.overrides.insert(0, f"hydra.sweep.dir='{scratch}'")
        task = _refuse_other_launchers if parsed.multirun else single.append
        _run_hydra(parsed, parser, task, config_path=str(conf_dir()), config_name="train")
    for config in single:
        launchers = [text for text in parsed.overrides if text.startswith("hydra/launcher=")]
        if launchers and launchers[-1] != "hydra/launcher=local":
            raise ConfigError(f"{launchers[-1]} has no effect without -m: add -m, even for one job.")
        act(resolve(config))


def _refuse_other_launchers(_: DictConfig) -> None:
    """Raise an error as Hydra's task function, which only launchers that are not ftlab's call."""
    raise ConfigError(
        "this hydra/launcher does not run each job in processes of its own, which ftlab needs: use local, "
        "submitit_slurm or ray."
    )


def _register_typed_kinds(overrides: list[str]) -> list[str]:
    """Import the kinds of `kinds=[…]` and return the other overrides: Hydra takes `kinds` for a group of the folder."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    others = []
    for text, override in zip(overrides, OverridesParser.create().parse_overrides(overrides), strict=True):
        if override.key_or_group == "kinds":
            register_kinds(override.value())
        else:
            others.append(text)
    return others


def _with_swept_groups(overrides: list[str]) -> list[str]:
    """Turn settings of a swept group into sweeps over one value, as in `method=prefix,prompt method.frozen=true`.

    Hydra would first apply them to the default choice, which may not have them; a sweep applies to each job's choice.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(overrides)
    swept_keys = [override.key_or_group for override in parsed if override.is_sweep_override()]
    prefixes = tuple(f"{key}." for key in swept_keys if "." not in key)

    def as_sweep(text: str) -> str:
        key, _, value = text.partition("=")
        return f"{key}=choice({value})"

    return [
        as_sweep(text)
        if override.key_or_group.startswith(prefixes) and not override.is_sweep_override() and not override.is_delete()
        else text
        for text, override in zip(overrides, parsed, strict=True)
    ]


def _run_single(config: RunConfig) -> None:
    """Run one experiment: a sweep of one."""
    from ftlab.launch.local import LocalExecutor
    from ftlab.sweeps.jobs import JobsFailed
    from ftlab.sweeps.plan import plan_if_requested
    from ftlab.sweeps.run import run_jobs

    directory = Path(config.sweep.dir)
    if not plan_if_requested([config], directory, LocalExecutor(max_parallel=1)):
        return
    records = run_jobs([config], directory, lambda: LocalExecutor(max_parallel=1))
    if any(record.has_failed for record in records):
        raise JobsFailed("the job did not complete: see the table above.")
