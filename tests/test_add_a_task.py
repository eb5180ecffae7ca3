"""The task kind of docs/add_a_task.md, outside the repository: it trains, previews, predicts, exports and compares."""

import json
import random
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

from tests.fixtures.checkpoints import tiny
from tests.fixtures.source_trees import ROOT

PAGE = (ROOT / "docs" / "add_a_task.md").read_text(encoding="utf-8")
FILES = dict(
    zip(re.findall(r"`(mine/kinds/\w+\.py)`", PAGE), re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL), strict=True)
)
COMMANDS = [line.strip() for line in PAGE.splitlines() if re.match(r" {4}(ftlab|python train\.py) ", line)]
SIGNS = ("the", "and", "will", "of", "in")  # one for each number of stars; whole words to every tiny tokenizer
OTHER_WORDS = ("market", "bank", "year", "team", "film", "band", "phone", "voice", "party", "vote", "week", "award")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("add_a_task")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's files and texts in which one word tells the number of stars."""
    folder = tmp_path_factory.mktemp("project")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    draw = random.Random(0)
    lines = []
    for stars, sign in enumerate(SIGNS, 1):
        pairs = [draw.sample(OTHER_WORDS, 2) for _ in range(60)]
        lines += [f"{sign} {sign} {first} {sign} {second},{stars}" for first, second in pairs]
    (folder / "stars.csv").write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")
    return folder


def call(folder: Path, command: str, *more: str, fails: bool = False) -> str:
    """Run a command of the page in the folder and return what it prints."""
    _, *words = shlex.split(command.replace("python train.py", "ftlab train"))
    done = subprocess.run([sys.executable, "-m", "ftlab", *words, *more], cwd=folder, capture_output=True, text=True)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout if not fails else done.stderr


@pytest.fixture(scope="module")
def sweep(folder: Path) -> Path:
    """The page's sweep, on a tiny model."""
    small = ("budget=small", "budget.epochs=6", "tracker=none", "model=hf", f"model.name={tiny('bert')}")
    call(folder, COMMANDS[1], *small, "optim.lr=0.02", "seed=0,1", "sweep.name=stars")
    return folder / "outputs" / "stars"


def run_of(sweep: Path, method: str) -> Path:
    return next(sweep.glob(f"{method}-*-s0-*"))


def test_the_page_has_two_files_and_three_commands_and_is_short() -> None:
    assert list(FILES) == ["mine/kinds/ordinal.py", "mine/kinds/ordinal_parts.py"]
    assert [re.split(r"[ -]", command)[1] for command in COMMANDS] == ["data", "train.py", "predict"]
    assert len(PAGE.splitlines()) <= 85


def test_it_is_looked_at(folder: Path) -> None:
    page = call(folder, COMMANDS[0], "model=hf", f"model.name={tiny('bert')}")
    assert re.search("answer: [1-5]", page)
    assert "rows of each label" in page


def test_it_trains_and_is_compared_on_its_own_metric_and_on_examples(sweep: Path) -> None:
    records = [json.loads((run / "record.json").read_text()) for run in sorted(sweep.glob("*-s?-*"))]
    assert [record["status"] for record in records] == ["completed"] * 4
    assert {record["task"] for record in records} == {"ordinal"}
    assert all(record["config"]["kinds"] == [str(sweep.parents[1] / "mine/kinds/ordinal.py")] for record in records)
    errors = {record["method"]: record["metrics"]["ordinal"]["test"]["rank_error"]["value"] for record in records}
    assert errors["lora"] < errors["majority"] / 2
    (table,) = json.loads((sweep / "comparison.json").read_text())["tables"]
    assert [metric["metric"] for metric in table["metrics"]] == ["rank_error"]
    again = call(sweep.parents[1], f"ftlab compare {sweep}")
    assert "rank" in again
    rows = pq.read_table(run_of(sweep, "lora") / "predictions.parquet").to_pylist()
    assert all(row["rank_error"] == abs(int(row["label"]) - int(row["prediction"])) for row in rows)


def test_it_predicts_with_trust_alone(folder: Path, sweep: Path) -> None:
    command = COMMANDS[2].replace("outputs/SWEEP/RUN", str(run_of(sweep, "lora")))
    refused = call(folder, command.replace(" --trust", ""), fails=True)
    assert "kinds=" in refused
    assert "--trust" in refused
    (folder / "new.csv").write_text("text\nin in film in year\nthe the band the vote\n", encoding="utf-8")
    printed = call(folder, f"ftlab predict {run_of(sweep, 'lora')} --file new.csv --trust")
    best, worst = (json.loads(line) for line in printed.splitlines() if line.startswith("{"))
    assert (best["prediction"], worst["prediction"]) == ("5", "1")
    assert set(best["scores"]) == set("12345")
    assert call(folder, command)


def test_a_run_is_used_where_the_project_has_moved_to(sweep: Path, tmp_path: Path) -> None:
    """What is typed is code: it needs no trust."""
    moved = tmp_path / "moved"
    for name, text in FILES.items():
        (moved / name).parent.mkdir(parents=True, exist_ok=True)
        (moved / name).write_text(text, encoding="utf-8")
    run = shutil.copytree(run_of(sweep, "lora"), moved / "run")
    record = (run / "record.json").read_text().replace(str(sweep.parents[1]), str(tmp_path / "gone"))
    (run / "record.json").write_text(record, encoding="utf-8")
    assert "--kinds" in call(moved, "ftlab predict run --text fine --trust", fails=True)
    assert call(moved, "ftlab predict run --text fine --kinds mine/kinds/ordinal.py")


def test_kinds_of_both_places_are_taken_together(folder: Path) -> None:
    (folder / "more").mkdir()
    text = FILES["mine/kinds/ordinal.py"].replace('"ordinal"', '"other"').replace("ordinal_parts", "other_parts")
    (folder / "more" / "other.py").write_text(text, encoding="utf-8")
    parts = FILES["mine/kinds/ordinal_parts.py"].replace("from ordinal", "from other")
    (folder / "more" / "other_parts.py").write_text(parts, encoding="utf-8")
    for task in ("ordinal", "other"):
        command = COMMANDS[0].replace("dataset.task=ordinal", f"dataset.task={task}")
        assert "answer:" in call(
            folder, command, "kinds=[more/other.py]", "model=hf", f"model.name={tiny('bert')}", "method=head"
        )


def test_it_is_exported_and_loads_without_ftlab(folder: Path, sweep: Path) -> None:
    printed = call(folder, f"ftlab export {run_of(sweep, 'lora')} --to exported --merge --trust")
    assert "AutoModelForSequenceClassification" in printed
    assert load_file(folder / "exported" / "model.safetensors")["classifier.weight"].shape[0] == 5
    code = printed[printed.index("from transformers") :].replace("some text", "in in film in year")
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "5"


def test_a_module_that_python_finds_will_do(folder: Path) -> None:
    (folder / "my_package").mkdir()
    for name, text in FILES.items():
        text = text.replace("ordinal_parts.", "my_package.ordinal_parts.").replace(
            "from ordinal import", "from my_package.ordinal import"
        )
        (folder / "my_package" / Path(name).name).write_text(text, encoding="utf-8")
    settings = ("kinds=[my_package.ordinal]", "method=prefix", "budget=smoke", "tracker=none", "sweep.name=module")
    command = COMMANDS[1].replace("-m --config-dir mine ", "").replace("method=lora,majority", "")
    call(folder, command, *settings, "model=hf", f"model.name={tiny('bert')}")
    (run,) = (folder / "outputs" / "module").glob("prefix-*")
    assert json.loads((run / "record.json").read_text())["config"]["kinds"] == ["my_package.ordinal"]
