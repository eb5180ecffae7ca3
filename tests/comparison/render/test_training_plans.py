import json
from pathlib import Path

from ftlab.comparison import compare
from ftlab.comparison.render.json_file import json_text
from ftlab.comparison.render.markdown import markdown
from ftlab.comparison.render.report import report
from ftlab.comparison.render.training_plans import training_plans
from tests.comparison.factory import add_run
from tests.record.test_training_plan import PLAN


def _add(sweep: Path, method: str, seed: int = 0, **changes: object) -> None:
    plan = PLAN.model_copy(update=changes)
    add_run(sweep, method, seed=seed, changes={"training_plan": plan.model_dump()})


def test_one_plan_of_all_rows_is_said_once_at_the_head_of_each_format(tmp_path: Path) -> None:
    _add(tmp_path, "lora")
    _add(tmp_path, "full", lr=5e-5)  # a method's own learning rate is no other plan
    add_run(tmp_path, "zero_shot")
    comparison = compare([tmp_path])
    sentence = f"Training: {PLAN}."
    assert training_plans(comparison.tables[0]) == sentence
    assert sentence in markdown(comparison)
    page = report(comparison, tmp_path)
    assert page.index(sentence) < page.index('<table class="results">')
    runs = [run for row in json.loads(json_text(comparison, tmp_path))["tables"][0]["rows"] for run in row["runs"]]
    assert sorted(run["training_plan"]["lr"] for run in runs if run["training_plan"]) == [5e-5, 2e-4]


def test_rows_with_other_plans_are_named(tmp_path: Path) -> None:
    for seed in (0, 1):
        _add(tmp_path, "lora", seed)
    _add(tmp_path, "full", steps=40)
    table = compare([tmp_path]).tables[0]
    full, lora = f"full: {PLAN.model_copy(update={'steps': 40})}", f"lora: {PLAN}"
    assert training_plans(table) in (f"Training: {full}; {lora}.", f"Training: {lora}; {full}.")


def test_many_plans_and_many_rows_are_counted(tmp_path: Path) -> None:
    for method in ("lora", "full", "prefix", "head", "ia3"):
        _add(tmp_path, method)
    for steps, method in enumerate(("bitfit", "adapter", "partial", "adapter"), 1):
        _add(tmp_path, method, seed=steps, steps=steps)
    text = training_plans(compare([tmp_path]).tables[0])
    assert text.count("budget=small") == 3
    assert text.endswith("; and 2 other plans.")


def test_records_of_before_say_nothing(tmp_path: Path) -> None:
    add_run(tmp_path, "lora")
    assert training_plans(compare([tmp_path]).tables[0]) == ""
