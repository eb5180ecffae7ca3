"""Help page of `train`: every group and choice with one line, read from the configuration files."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

_USAGE = """\
[bold]python train.py[/] [GROUP=CHOICE …] [KEY=VALUE …]       one experiment
[bold]python train.py -m[/] GROUP=CHOICE,CHOICE … KEY=VALUE,…   one experiment per combination, compared at the end
"""

_EXAMPLES = {
    "compare three methods on the default model and data": "python train.py -m method=lora,prefix,full",
    "search the learning rate of every method first": "python train.py -m search=lr method=lora,full seed=0,1,2",
    "the same training time for every method": "python train.py -m budget=seconds budget.seconds=60 method=lora,full",
    "search other settings too": "python train.py -m hydra/sweeper=optuna method=lora,full",
    "the same over three seeds": "python train.py -m method=lora,full seed=0,1,2",
    "a causal language model on instructions": "python train.py model=smollm2-135m dataset=chatterbot method=lora",
    "your own file with columns text and label": "python train.py dataset=text_files dataset.source.train=reviews.csv",
    "look at your data before you train": "ftlab data dataset=text_files dataset.source.train=reviews.csv",
    "set any value of the configuration": "python train.py method=lora method.config.r=16 optim.lr=1e-3",
    "estimate memory and time of every job before training": "python train.py -m method=lora,full plan=true",
    "print the composed configuration and stop": "python train.py --cfg job method=lora",
    "rebuild the comparison of finished runs": "ftlab compare outputs/SWEEP",
}


def print_help(conf: Path) -> None:
    """Print usage, every group with its choices, the other settings, and examples."""
    console = Console(highlight=False)
    console.print(_USAGE, soft_wrap=True)
    for group, choices in group_choices(conf).items():
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
        table.add_column(style="cyan", no_wrap=True)
        table.add_column()
        for name, line in choices.items():
            table.add_row(name, Text(line))
        console.print(f"[bold]{group}[/]")
        console.print(table)
    console.print(
        "[bold]other settings[/]  seed=0  sweep.dir=FOLDER  plan=true|first  kinds=\\[MODULE]  "
        "and every key that --cfg job prints\n"
    )
    console.print("[bold]examples[/]")
    for purpose, command in _EXAMPLES.items():
        console.print(f"  [dim]# {purpose}[/]\n  {command}", soft_wrap=True)


def group_choices(conf: Path) -> dict[str, dict[str, str]]:
    """Return group -> choice -> its description: the first comment line of the choice's file."""
    groups = sorted({path.parent for path in conf.glob("*/**/*.yaml")})
    return {
        group.relative_to(conf).as_posix(): {
            path.stem: first_comment(path) for path in sorted(group.glob("*.yaml")) if path.stem[0] != "_"
        }
        for group in groups
    }


def first_comment(path: Path) -> str:
    """Return the first comment line of a configuration file, Hydra directives (`@package`) left out."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ").strip()
    return ""
