"""`--help` that teaches: every group and choice with a line each, read from the configuration itself."""

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
    "search the learning rate of each first": "python train.py -m search=lr method=lora,full seed=0,1,2",
    "the same training time for each": "python train.py -m budget=seconds budget.seconds=60 method=lora,full",
    "search other settings of each too": "python train.py -m hydra/sweeper=optuna method=lora,full",
    "the same over three seeds": "python train.py -m method=lora,full seed=0,1,2",
    "a causal language model on instructions": "python train.py model=smollm2-135m dataset=chatterbot method=lora",
    "your own file with columns text and label": "python train.py dataset=text_files dataset.source.train=reviews.csv",
    "look at it before you train": "ftlab data dataset=text_files dataset.source.train=reviews.csv",
    "any value of the configuration": "python train.py method=lora method.config.r=16 optim.lr=1e-3",
    "memory and time of each job before anything trains": "python train.py -m method=lora,full plan=true",
    "print the composed configuration and stop": "python train.py --cfg job method=lora",
    "rebuild the comparison of finished runs": "ftlab compare outputs/SWEEP",
}


def show(conf: Path) -> None:
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
        "[bold]other settings[/]  seed=0  sweep.dir=FOLDER  plan=true|first  and every key that --cfg job prints\n"
    )
    console.print("[bold]examples[/]")
    for what, command in _EXAMPLES.items():
        console.print(f"  [dim]# {what}[/]\n  {command}", soft_wrap=True)


def group_choices(conf: Path) -> dict[str, dict[str, str]]:
    """Return group -> choice -> the line that explains it: the first comment of the choice's file."""
    groups = sorted({path.parent for path in conf.glob("*/**/*.yaml")})
    return {
        group.relative_to(conf).as_posix(): {
            path.stem: first_comment(path) for path in sorted(group.glob("*.yaml")) if path.stem[0] != "_"
        }
        for group in groups
    }


def first_comment(path: Path) -> str:
    """Return the first comment line of a configuration file that is no Hydra directive."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ").strip()
    return ""
