"""Flags of `ftlab train`, those of Hydra: they may stand anywhere between the overrides."""

import argparse
from typing import Any, NoReturn

from ftlab.core.errors import ConfigError, did_you_mean

CONFIGS = ("job", "hydra", "all")  # choices of --cfg
TOPICS = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")  # choices of --info
_FLAGS: dict[tuple[str, ...], dict[str, Any]] = {
    ("--multirun", "-m"): {"action": "store_true", "help": "Run one experiment per combination, and compare"},
    ("--run", "-r"): {"action": "store_true", "help": "Run one experiment, the default"},
    ("--cfg", "-c"): {"choices": CONFIGS, "help": "Print the composed configuration and stop"},
    ("--resolve",): {"action": "store_true", "help": "With --cfg: resolve interpolations"},
    ("--package", "-p"): {"help": "With --cfg: the part to print, as in optim"},
    ("--info", "-i"): {"const": "all", "nargs": "?", "choices": TOPICS, "help": "Print how Hydra composes it"},
    ("--config-dir", "-cd"): {"help": "Folder with choices of your own, in place of the project's"},
    ("--config-name", "-cn"): {"help": "Root configuration in place of train"},
    ("--config-path", "-cp"): {"help": "Folder that replaces all of ftlab's configuration"},
    ("--hydra-help",): {"action": "store_true", "help": "Print Hydra's own help"},
    ("--shell-completion", "-sc"): {"action": "store_true", "help": "install=bash: completion of python train.py"},
}
_MODES = ("run", "multirun", "cfg", "info", "shell_completion", "hydra_help")  # flags that exclude each other


class _Parser(argparse.ArgumentParser):
    """Parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Raise the error instead of printing the usage."""
        raise ConfigError(f"{message}: ftlab train --help lists the flags.")


def flag_parser() -> argparse.ArgumentParser:
    """Return the parser of the flags and overrides; `--help` and `--version` are handled before it."""
    parser = _Parser(prog="ftlab train", add_help=False)
    parser.add_argument("overrides", nargs="*", help="GROUP=CHOICE or KEY=VALUE; KEY is dotted, as in optim.lr=1e-3")
    for names, settings in _FLAGS.items():
        parser.add_argument(*names, **settings)
    return parser


def flag_help() -> dict[str, str]:
    """Return the help of every flag by its long name."""
    flags = {names[0]: str(settings["help"]) for names, settings in _FLAGS.items()}
    return {**flags, "--help": "Print every group and choice", "--version": "Print the versions"}


def parse_flags(arguments: list[str]) -> argparse.Namespace:
    """Return the flags and the overrides of a command line.

    Raises:
        ConfigError: a flag does not exist, lacks its value or contradicts another.
    """
    parsed, unknown = flag_parser().parse_known_intermixed_args(arguments)
    if unknown:
        raise ConfigError(f"{unknown[0]} is no flag of ftlab train: {did_you_mean(unknown[0], flag_help())}.")
    modes = [f"--{mode.replace('_', '-')}" for mode in _MODES if getattr(parsed, mode)]
    if len(modes) > 1:
        raise ConfigError(f"{' and '.join(modes)} exclude each other: give one of them.")
    if parsed.shell_completion:
        raise ConfigError("--shell-completion is for scripts: write python train.py -sc install=bash.")
    if parsed.resolve and not parsed.cfg:
        raise ConfigError("--resolve has no effect without --cfg: add --cfg job.")
    return parsed
