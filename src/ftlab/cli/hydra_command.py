"""Composition of a command line by Hydra, through its public interface; replaces `hydra.main`."""

import argparse
import os
import tempfile
from collections.abc import Callable
from contextvars import ContextVar
from itertools import takewhile
from pathlib import Path
from traceback import extract_tb
from typing import Any

import hydra
import yaml
from hydra import initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString, Sweep
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ftlab.cli.flags import flag_parser, parse_flags
from ftlab.cli.user_conf import UserConf, broken_file, find_user_conf
from ftlab.config.compose import missing_peft_setting, resolve
from ftlab.config.kind_modules import kind_files
from ftlab.config.kinds import register_kinds
from ftlab.config.paths import conf_dir
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import ConfigError, UserError, did_you_mean, reason
from ftlab.core.terminal import Terminal

_OURS = str(Path(__file__).resolve().parents[2])  # with ftlab and its plugins
_HYDRA = str(Path(hydra.__file__).parent)
_USER_CONF: ContextVar[UserConf | None] = ContextVar("user_conf", default=None)  # of the command that is running


class _UserConfInSearchPath(SearchPathPlugin):
    """Adds the folder of the user's own choices; does nothing outside a command of ftlab."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Put the folder behind ftlab's own and before Hydra's `schema`, which comes last."""
        if user_conf := _USER_CONF.get():
            search_path.append(provider=user_conf.provider, path=f"file://{user_conf.path}")


def run_with_hydra(arguments: list[str], act: Callable[[RunConfig], Path | None]) -> Path | None:
    """Compose `arguments` with Hydra and call `act` with the configuration of a single run.

    `hydra.main` expects flags before overrides, and no subcommand ahead of them.

    Args:
        arguments: flags and overrides, in any order.
        act: runs a single run; with -m, Hydra's launcher runs the jobs.

    Returns:
        What `act` returns; with -m, the sweep's folder, if the sweeper returns its jobs, as ftlab's do; None: nothing
        was run.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its exceptions, which `report_errors` reports
    flags = parse_flags(arguments)
    user_conf = find_user_conf(flags.config_dir)
    overrides: list[str] = flags.overrides
    if user_conf and (folder := user_conf.path / "kinds").is_dir():
        register_kinds(kind_files(folder))
        overrides = _register_typed_kinds(overrides)
    Plugins.instance().register(_UserConfInSearchPath)  # once, however often this is called
    token = _USER_CONF.set(user_conf)
    try:
        with initialize_config_dir(_main_conf(flags.config_path), job_name="train", version_base="1.3"):
            outcome = _with_peft_settings_added(
                lambda words: _compose_or_sweep(GlobalHydra.instance().hydra, flags, words), overrides
            )
    except Exception as error:
        if not _is_of_composition(error):
            raise
        culprit = broken_file(user_conf.path) if user_conf else None
        named = f": {culprit} is no mapping of settings in YAML and UTF-8" if culprit else ""
        raise ConfigError(f"the configuration cannot be composed ({reason(error)}){named}: correct it.") from error
    finally:
        _USER_CONF.reset(token)
    if not isinstance(outcome, DictConfig):
        return outcome
    launchers = [text for text in overrides if text.startswith("hydra/launcher=")]
    if launchers and launchers[-1] != "hydra/launcher=local":
        raise ConfigError(f"{launchers[-1]} has no effect without -m: add -m, even for one job.")
    return act(resolve(outcome))


def _is_of_composition(error: Exception) -> bool:
    """Return whether Hydra itself failed, with an error that is none of its own, as for a file that is no mapping."""
    if isinstance(error, HydraException | OmegaConfBaseException | UserError | yaml.YAMLError):
        return False
    files = [frame.filename for frame in extract_tb(error.__traceback__)]
    after_ours = list(takewhile(lambda file: not file.startswith(_OURS), reversed(files)))
    return bool(after_ours) and after_ours[-1].startswith(_HYDRA)


def _main_conf(config_path: str | None) -> str:
    if config_path is None:
        return str(conf_dir())
    if not Path(config_path).is_dir():
        raise ConfigError(f"--config-path {config_path} is no folder: correct the path, or leave it out.")
    return os.path.abspath(config_path)


def _with_peft_settings_added(
    compose: Callable[[list[str]], DictConfig | Path | None], overrides: list[str]
) -> DictConfig | Path | None:
    """Call `compose`, and again with a + before each setting of PEFT's that the method's preset does not list.

    Hydra refuses such a setting without one. All is composed before anything is started.
    """
    while True:
        try:
            return compose(overrides)
        except HydraException as error:
            key = missing_peft_setting(error)
            added = [f"+{word}" if key is not None and word.partition("=")[0] == key else word for word in overrides]
            if added == overrides:
                raise
            overrides = added
            Terminal(stderr=True).print(
                f"{key} is a setting of PEFT's that the method's file does not list: it is taken as +{key} (a name "
                "that PEFT does not have is an error).",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )


def _require_names(override: Override, text: str) -> None:
    """Check that a group has names of choices as its value: Hydra takes 5 or null for something else.

    Raises:
        ConfigError: it has not.
    """
    group = conf_dir() / override.key_or_group
    if "." in override.key_or_group or not group.is_dir() or override.is_delete():
        return
    value = override.value()
    values = value.list if isinstance(value, ChoiceSweep) else value if isinstance(value, list) else [value]
    wrong = [item for item in values if not isinstance(item, str | QuotedString)]
    if (wrong and not isinstance(value, Sweep)) or (isinstance(value, ChoiceSweep) and wrong):
        choices = [path.stem for path in group.glob("*.yaml") if not path.stem.startswith("_")]
        raise ConfigError(f"{text} names no choice of {override.key_or_group}: {did_you_mean(str(wrong[0]), choices)}.")


def _compose_or_sweep(driver: Any, flags: argparse.Namespace, overrides: list[str]) -> DictConfig | Path | None:
    """Do what the flags ask for.

    Returns:
        The configuration of a single run, or the folder of the sweep that was run, or None: something was shown.
    """
    name = flags.config_name or "train"
    for text, override in zip(overrides, OverridesParser.create().parse_overrides(overrides), strict=True):
        _require_names(override, text)
    with tempfile.TemporaryDirectory() as scratch:  # for multirun.yaml, which a sweeper writes before any check
        overrides = [f"hydra.sweep.dir='{scratch}'", *overrides]
        if flags.hydra_help:
            driver.hydra_help(config_name=name, args_parser=flag_parser(), args=argparse.Namespace(overrides=overrides))
            return None
        if flags.cfg:
            driver.show_cfg(name, overrides, cfg_type=flags.cfg, package=flags.package, resolve=flags.resolve)
            return None
        if flags.info:
            driver.show_info(flags.info, config_name=name, overrides=overrides)
            return None
        # an experiment may set hydra.mode; of a configuration that cannot be composed it is None, and `run` raises
        if flags.multirun or driver.get_mode(name, overrides) == RunMode.MULTIRUN:
            overrides = [*_with_swept_groups(overrides), "hydra.mode=MULTIRUN"]
            return _sweep_dir(driver.multirun(name, _refuse_other_launchers, overrides))
        single: list[DictConfig] = []
        driver.run(name, single.append, [*overrides, "hydra.mode=RUN"])
    return single[0]


def _refuse_other_launchers(_: DictConfig) -> None:
    """Raise an error as Hydra's task function, which only launchers that are not ftlab's call."""
    raise ConfigError(
        "this hydra/launcher does not run each job in processes of its own, which ftlab needs: use local, "
        "submitit_slurm or ray."
    )


def _sweep_dir(batches: Any) -> Path | None:
    """Return the folder of a sweep from the batches of jobs that its sweeper returns; None: it returns none."""
    lists = [batch for batch in batches if isinstance(batch, list)] if isinstance(batches, list) else []
    configs = [job.cfg for batch in lists for job in batch if isinstance(job, JobReturn) and job.cfg is not None]
    return Path(OmegaConf.select(configs[0], "sweep.dir")) if configs else None


def _register_typed_kinds(overrides: list[str]) -> list[str]:
    """Import the kinds of `kinds=[…]` and return the other overrides: Hydra takes `kinds` for a group of the folder."""
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
