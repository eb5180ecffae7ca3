"""Completion of overrides: groups, choices, lists, settings, a project's own; bash is run, zsh and fish are not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ftlab.cli.choices import ConfFolders, group_choices
from ftlab.cli.completion import candidates, joined
from ftlab.cli.init import create_project
from ftlab.config.paths import conf_dir
from tests.cli.test_training import ROOT, process, train
from tests.fixtures.compose import compose_cached

BIN = Path(sys.executable).parent


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def completed(word: str, *words: str) -> list[str]:
    return [match.value for match in candidates(words, word)]


def test_a_group_is_followed_by_its_choices_and_each_has_its_line() -> None:
    choices = group_choices(conf_dir())["method"]
    assert candidates([], "meth") == candidates([], "method=")
    assert {match.value: match.help for match in candidates([], "meth")} == {
        f"method={name}": line for name, line in choices.items()
    }
    assert completed("method=lo") == ["method=loha", "method=lokr", "method=lora", "method=lora_all"]
    assert completed("hydra/la") == ["hydra/launcher=ray", "hydra/launcher=submitit_slurm"]
    assert completed("+dataset@dataset.parts.a=bbc") == ["+dataset@dataset.parts.a=bbc_news"]


def test_in_a_list_the_last_item_is_completed() -> None:
    assert completed("method=lora,pre") == ["method=lora,prefix"]
    assert completed("method=lora,lora") == ["method=lora,lora_all"], "lora is in the list"


def test_the_first_words_are_groups_and_settings() -> None:
    words = completed("")
    assert {f"{group}=" for group in group_choices(conf_dir())} < set(words)
    assert {"seed=", "plan=", "sweep.", "speed."} < set(words)
    assert all(word.startswith(("model=", "method=")) for word in completed("m"))


def test_settings_are_those_of_the_choice_with_its_defaults_and_values() -> None:
    assert "optim.weight_decay=" in completed("optim.")
    assert completed("optim.weight") == ["optim.weight_decay=", "optim.weight_decay=0.01"]
    assert completed("optim.schedule=") == [f"optim.schedule={value}" for value in ("linear", "cosine", "constant")]
    assert completed("speed.fused") == ["speed.fused_adamw=", "speed.fused_adamw=true", "speed.fused_adamw=false"]
    assert completed("optim.lr=") == ["optim.lr=null"], "its default is that of the method"
    assert completed("sweep.chec") == ["sweep.checkpoint_s=", "sweep.checkpoint_s=120"]
    assert completed("kin") == ["kinds=", "kinds=VALUE"]
    assert "method.virtual_tokens=" not in completed("method.")
    assert completed("method.virt", "method=lora,prefix") == ["method.virtual_tokens=", "method.virtual_tokens=30"]
    assert completed("method.config.r", "method=lora_all") == ["method.config.r=", "method.config.r=8"]
    assert "dataset.source.quotes=" in completed("dataset.source.", "dataset=text_files")
    assert "dataset.parts.news.max_length=" in completed("dataset.parts.news.", "dataset=news_and_topics")
    assert "method.mlp_lr_scale=" in completed("method.", "experiment=gpt2_wikitext_prefix")
    assert completed("~tracker.ta") == ["~tracker.tags"]
    assert completed("seeed") == completed("optim.lrr") == completed("optim.lr.x") == completed("nothing.at.all") == []


@pytest.mark.parametrize("choices", [[], ["method=lora_all", "dataset=text_files", "model=gpt2", "optim=sgd"]])
def test_settings_are_those_that_hydra_composes(choices: list[str]) -> None:
    typed = {group: [choice] for group, _, choice in (text.partition("=") for text in choices)}
    settings = ConfFolders([conf_dir()]).settings(typed)
    config = compose_cached(*choices)
    assert set(settings) == {str(key) for key in config}
    for group in ("method", "dataset", "model", "optim", "budget", "sweep", "speed"):
        assert set(settings[group]) == {str(key) for key in config[group]}


def test_flags_and_their_values() -> None:
    assert completed("--mu") == ["--multirun"]
    assert {"--config-dir", "--help", "--version"} < set(completed("-"))
    assert completed("", "--cfg") == ["job", "hydra", "all"]
    assert completed("", "--config-dir") == [], "the shell completes folders"
    assert completed("met", "-m") == completed("met")


def test_choices_of_the_project_and_of_config_dir(tmp_path: Path) -> None:
    assert completed("dataset=tick") == []
    create_project(tmp_path / "mine")
    for words in (["--config-dir", "mine/conf"], ["--config-dir=mine/conf"], ["-cd", "mine/conf", "-m"]):
        assert completed("dataset=tick", *words) == ["dataset=tickets"]
    create_project(tmp_path)
    assert completed("dataset=tick") == ["dataset=tickets"]
    assert completed("method.config.r", "experiment=tickets") == ["method.config.r=", "method.config.r=4"]
    (tmp_path / "conf" / "method" / "lora_small.yaml").write_text("a: b: c", encoding="utf-8")
    assert completed("method.", "method=lora_small") == []
    (tmp_path / "ftlab.toml").write_text("conf = 3", encoding="utf-8")
    assert completed("method=lora") == ["method=lora", "method=lora_all"], "training says what is wrong"


def test_a_choice_that_inherits_from_itself_ends(tmp_path: Path) -> None:
    create_project(tmp_path)
    (tmp_path / "conf" / "method" / "round.yaml").write_text("defaults: [round, lora]\nname: round\n", encoding="utf-8")
    assert "method.config." in completed("method.", "method=round")


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        (["a", "=", "b", "c"], ["a=b", "c"]),
        (["a", "=", ""], ["a="]),
        (["-m", "x", "@", "y", "=", "z"], ["-m", "x@y=z"]),
        (["a=b", "c"], ["a=b", "c"]),
        (["=", "a"], ["=a"]),
        ([""], [""]),
    ],
)
def test_words_that_bash_has_split_are_joined(pieces: list[str], words: list[str]) -> None:
    assert joined(pieces) == words


def bash(setup: str, line: str, cwd: Path) -> list[str]:
    """Return what bash offers at the end of a line: its own completion of it, split as bash splits."""
    script = f"""
    {setup}
    spec=$(complete -p {line.split()[0]}); [[ $spec =~ -F\\ ([^ ]+) ]] || exit 3
    COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}
    mapfile -t COMP_WORDS < <("$PYTHON" -c '
import re, sys
words = [word for word in re.findall(r"[=@]|[^\\s=@]+", sys.argv[1])]
print(*words, *([""] if sys.argv[1].endswith(" ") else []), sep="\\n")' "$COMP_LINE")
    COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
    "${{BASH_REMATCH[1]}}" {line.split()[0]}
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "PYTHON": sys.executable}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.splitlines()


LINES = [
    ("meth", [f"method={name}" for name in group_choices(conf_dir())["method"]]),
    ("method=lo", ["loha", "lokr", "lora", "lora_all"]),
    ("method=lora,pre", ["lora,prefix"]),
    ("quant=", ["int8", "nf4", "none"]),
    ("-m method=prefix method.virt", ["method.virtual_tokens=", "method.virtual_tokens=30"]),
    ("+dataset@dataset.parts.a=bbc", ["bbc_news"]),
    ("--config-dir mine/conf dataset=tick", ["tickets"]),
    ("--multi", ["--multirun"]),
]
TYPER = 'eval "$(_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION=1 ftlab --show-completion bash)"'
SCRIPT = 'eval "$(python train.py -sc install=bash)"'


@pytest.mark.parametrize(("typed", "offered"), LINES, ids=[line for line, _ in LINES])
def test_bash_completes_both_commands(typed: str, offered: list[str], tmp_path: Path) -> None:
    create_project(tmp_path / "mine")
    (tmp_path / "train.py").symlink_to(ROOT / "train.py")
    assert bash(TYPER, f"ftlab train {typed}", tmp_path) == offered
    assert bash(SCRIPT, f"python train.py {typed}", tmp_path) == offered


def test_bash_completes_subcommands_and_the_data_command(tmp_path: Path) -> None:
    assert bash(TYPER, "ftlab ini", tmp_path) == ["init"]
    assert bash(TYPER, "ftlab data dataset=bbc", tmp_path) == ["bbc_news"]
    assert bash(TYPER, "ftlab data --ro", tmp_path) == ["--rows"]


def test_bash_runs_no_script_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "train.py").symlink_to(ROOT / "train.py")
    text = "open('it_was_run', 'w')\n"
    (tmp_path / "other.py").write_text(text, encoding="utf-8")
    (tmp_path / "mine.py").write_text(f"from ftlab import sweep\n{text}", encoding="utf-8")
    for line in (
        "python other.py meth",
        "python mine.py meth",
        "python other.py ",
        "python -m meth",
        "python trai",
        "python nowhere.py a",
    ):
        assert bash(SCRIPT, line, tmp_path) == [""]
    assert not (tmp_path / "it_was_run").exists()


def test_what_completed_python_before_does_so_again_afterwards(tmp_path: Path) -> None:
    (tmp_path / "train.py").symlink_to(ROOT / "train.py")
    script = (
        f"""complete -W 'a b' python; {SCRIPT}; {SCRIPT.replace("install", "uninstall")}; complete -p; declare -F"""
    )
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("complete -W 'a b' python\n", "")


@pytest.mark.parametrize("requests", [[], ["install=zsh"], ["install=bash", "uninstall=bash"]])
def test_another_shell_is_refused_with_what_works_there(requests: list[str], tmp_path: Path) -> None:
    done = train("-sc", *requests, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "ftlab --install-completion" in done.stderr


@pytest.mark.parametrize(
    ("shell", "typed", "offered"),
    [
        ("zsh", "ftlab train method=lora,pre", '"method=lora,prefix":"Prefix tuning'),
        ("zsh", "ftlab train optim.sched", '"optim.schedule=cosine"'),
        ("fish", "ftlab train method=lora,pre", "method=lora,prefix\tPrefix tuning"),
        ("fish", "ftlab data dataset=bbc", "dataset=bbc_news\tBBC news"),
        ("fish", "ftlab train --multi", "--multirun\tRun one experiment per combination"),
    ],
)
def test_zsh_and_fish_are_offered_whole_words_with_their_help(
    shell: str, typed: str, offered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_FTLAB_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", typed)
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    done = process("-m", "ftlab", cwd=tmp_path)
    assert done.stderr == ""
    assert offered in done.stdout


def test_completion_loads_nothing_heavy(tmp_path: Path) -> None:
    query = "import runpy; runpy.run_module('ftlab.cli.script_completion', run_name='__main__')"
    script = f"import sys; {query}; print(*sys.modules)"
    modules = process("-c", script, cwd=tmp_path).stdout.split()
    assert "ftlab.cli.completion" in modules
    assert not {"torch", "transformers", "peft", "lightning", "datasets", "numpy"} & set(modules)
