"""Help page of `train`: every group and choice with one line, read from the configuration files."""

import sys
from pathlib import Path

from rich.table import Table
from rich.text import Text

from ftlab.cli.choices import ConfFolders, group_choices
from ftlab.cli.flags import flag_help, flag_parser
from ftlab.cli.user_conf import find_user_conf
from ftlab.config.paths import conf_dir
from ftlab.core.terminal import Terminal

_USAGE = """\
[bold]{train}[/] [GROUP=CHOICE …] [KEY=VALUE …]       one experiment
[bold]{train} -m[/] GROUP=CHOICE,CHOICE … KEY=VALUE,…   one experiment per combination, compared at the end
"""

_EXAMPLES = {
    "compare three methods on the default model and data": "{train} -m method=lora,prefix,full",
    "search the learning rate of every method first": "{train} -m search=lr method=lora,full seed=0,1,2",
    "the same training time for every method": "{train} -m budget=seconds budget.seconds=60 method=lora,full",
    "search other settings too": "{train} -m hydra/sweeper=optuna method=lora,full",
    "the same over three seeds": "{train} -m method=lora,full seed=0,1,2",
    "a causal language model on instructions": "{train} model=smollm2-135m dataset=chatterbot method=lora",
    "your own file with columns text and label": "{train} dataset=text_files dataset.source.train=reviews.csv",
    "look at your data before you train": "ftlab data dataset=text_files dataset.source.train=reviews.csv",
    "set any value of the configuration": "{train} method=lora method.config.r=16 optim.lr=1e-3",
    "estimate memory and time of every job before training": "{train} -m method=lora,full plan=true",
    "print the composed configuration and stop": "{train} --cfg job method=lora",
    "rebuild the comparison of finished runs": "ftlab compare outputs/SWEEP",
    "begin a folder with methods and data of your own": "ftlab init mine",
}


def print_help(arguments: list[str]) -> None:
    """Print usage, every group with its choices, the user's own marked, the other settings, flags and examples.

    Args:
        arguments: the command line, which may name a folder of the user's own choices.

    Raises:
        ConfigError: that folder, or the project in the working directory, cannot be used.
    """
    flags, _ = flag_parser().parse_known_intermixed_args(arguments)
    user_conf = find_user_conf(flags.config_dir)
    script = Path(sys.argv[0]).name
    train = f"python {script}" if script.endswith(".py") else "ftlab train"
    users = group_choices(user_conf.path) if user_conf else {}
    ftlabs, defaults = group_choices(conf_dir()), ConfFolders([conf_dir()]).defaults
    console = Terminal(highlight=False)
    console.print(_USAGE.format(train=train), soft_wrap=True)
    if user_conf:
        console.print(Text(f"(yours): from {user_conf.path}, named by {user_conf.origin}\n"), soft_wrap=True)
    for group in sorted(ftlabs.keys() | users.keys()):
        console.print(Text(group, style="bold"))
        console.print(_table(ftlabs.get(group, {}), users.get(group, {}), defaults.get(group)))
    console.print(
        "[bold]other settings[/]  seed=0  sweep.dir=FOLDER  plan=true|first  kinds=\\[MODULE]  "
        "and every key that --cfg job prints\n"
    )
    console.print("[bold]flags[/]")
    console.print(_table(flag_help(), {}))
    console.print("[bold]examples[/]")
    for purpose, command in _EXAMPLES.items():
        console.print(f"  [dim]# {purpose}[/]\n  {command.format(train=train)}", soft_wrap=True)


def _table(ftlabs: dict[str, str], users: dict[str, str], default: str | None = None) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for name, line in {**users, **ftlabs}.items():  # Hydra takes ftlab's own where both have a choice
        marker = "(default) " if name == default else "" if name in ftlabs else "(yours) "
        table.add_row(Text(name), Text.assemble((marker, "green"), line))
    return table
