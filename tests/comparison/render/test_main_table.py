from pathlib import Path

from ftlab.comparison import compare
from ftlab.comparison.render.main_table import main_table
from ftlab.comparison.settings import short_names
from ftlab.record import Metric
from tests.comparison.factory import add_run, demo, showcase
from tests.comparison.families import with_tests
from tests.fixtures.statements import states


def test_headings_carry_units_and_seeds_appear_only_with_several(tmp_path: Path) -> None:
    untested = main_table(compare([demo(tmp_path / "single")], tests=False).tables[0])
    headings = (
        "method",
        "test accuracy",
        "test macro-F1",
        "trainable parameters",
        "training time (s)",
        "examples/s",
        "peak memory (MB)",
        "adapter on disk",
        "status",
    )
    assert untested.headings == headings
    assert main_table(compare([tmp_path / "single"]).tables[0]).headings == headings  # nothing could be tested
    tested = main_table(with_tests(compare([tmp_path / "single"])).tables[0])
    assert tested.headings == (*headings[:3], "against full", "within 0.01 of the best", *headings[3:])
    several = main_table(compare([showcase(tmp_path / "several")]).tables[0])
    assert several.headings[-2] == "seeds"
    assert all(len(line.cells) == len(several.headings) - 1 for line in several.lines)


def test_parameters_are_shown_with_their_share(tmp_path: Path) -> None:
    lines = {line.label: line for line in main_table(compare([demo(tmp_path)], tests=False).tables[0]).lines}
    assert lines["lora"].cells[2].text == "296 k (1.29 %)"
    assert lines["full"].cells[2].text == "22.9 M (100 %)"
    assert lines["prefix"].cells[6].text == "384 kB"


def test_one_seed_is_called_what_it_is(tmp_path: Path) -> None:
    caption = main_table(compare([demo(tmp_path)]).tables[0]).caption
    states(caption, "one seed", "n = 334")
    assert "±" not in caption


def test_several_seeds_say_what_the_spread_is(tmp_path: Path) -> None:
    content = main_table(compare([showcase(tmp_path)], tests=False).tables[0])
    states(content.caption, "± sample standard deviation", "3 seeds")
    assert content.settings == 1  # the learning rate of lora, which stands before the results
    assert all("±" in line.cells[1].text for line in content.lines if line.run is None)
    tested = main_table(compare([tmp_path]).tables[0])  # of the tested metric the interval stands there
    shown = [[cell.text for cell in line.cells[1:3]] for line in tested.lines if line.run is None]
    assert len(shown) == 7
    assert all("[" in first and "±" not in first and "±" in second for first, second in shown)


def test_unequal_numbers_of_seeds_are_said(tmp_path: Path) -> None:
    add_run(tmp_path, "lora", seed=0)
    add_run(tmp_path, "lora", seed=1)
    add_run(tmp_path, "full", seed=0)
    caption = main_table(compare([tmp_path]).tables[0]).caption
    states(caption, "1 to 2 seeds", "1 seed")


def test_runs_without_a_result_are_rows_with_the_first_line_of_their_error(tmp_path: Path) -> None:
    lines = {line.label: line for line in main_table(compare([showcase(tmp_path)]).tables[0]).lines}
    failed = lines["adapter (seed 0)"]
    states(failed.cells[-1].text, "failed", 37, "RuntimeError: loss is nan")
    assert "second line" not in failed.cells[-1].text
    assert failed.cells[0].value is not None  # its learning rate, as another method has several
    assert {cell.text for cell in failed.cells[1:-1]} == {"—"}
    states(lines["adapter (seed 1)"].cells[-1].text, "oom", 0, "OutOfMemoryError")


def test_a_metric_without_value_is_a_dash_and_never_a_number(tmp_path: Path) -> None:
    missing = {"accuracy": Metric(value=None, n=0, status="no label seen"), "macro_f1": Metric(value=0.5, n=334)}
    add_run(tmp_path, "lora", changes={"metrics": {"classification": {"test": missing}}})
    (line,) = main_table(compare([tmp_path]).tables[0]).lines
    assert (line.cells[0].text, line.cells[0].value) == ("—", None)
    assert line.cells[1].text == "0.500"


def test_nothing_completed_still_makes_a_table(tmp_path: Path) -> None:
    add_run(tmp_path, "lora", status="interrupted", changes={"parameters": None, "hardware": None, "data": None})
    content = main_table(compare([tmp_path]).tables[0])
    assert content.caption
    assert "seed" not in content.caption
    assert content.lines[0].cells[-1].text == "interrupted"


def test_settings_that_vary_have_columns_and_rows_are_named_by_method(tmp_path: Path) -> None:
    for rate in (0.0005, 0.002):
        add_run(tmp_path, "lora", settings={"optim.lr": rate})
    add_run(tmp_path, "full", settings={"optim.lr": 0.00005})
    content = main_table(compare([tmp_path], tests=False).tables[0])
    assert content.headings[:2] == ("method", "lr")
    assert sorted((line.label, line.cells[0].value) for line in content.lines) == [
        *(("full", 0.00005), ("lora", 0.0005), ("lora", 0.002)),  # also the rate of a method that has only one
    ]
    assert {line.full_label for line in content.lines} == {"full", "lora lr=0.0005", "lora lr=0.002"}


def test_settings_that_end_alike_have_their_whole_names() -> None:
    assert short_names(["optim.lr", "method.encoder.lr", "budget.epochs"]) == [
        "optim.lr",
        "method.encoder.lr",
        "epochs",
    ]


def test_metrics_of_fewer_examples_say_their_own_number(tmp_path: Path) -> None:
    metrics = {"accuracy": Metric(value=0.9, n=334), "macro_f1": Metric(value=0.5, n=16)}
    add_run(tmp_path, "lora", changes={"metrics": {"classification": {"test": metrics}}})
    states(main_table(compare([tmp_path]).tables[0]).caption, "334 for accuracy", "16 for macro-F1")
