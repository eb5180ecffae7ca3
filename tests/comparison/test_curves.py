from pathlib import Path

import pytest

from ftlab.comparison import compare
from ftlab.comparison.curves import read_curves
from ftlab.comparison.render.charts import COLOURS, chart_data, method_styles
from tests.comparison.factory import METHODS, add_run, demo, showcase

NAMES = ("val/accuracy", "train/loss")


def test_empty_cells_are_left_out_and_seconds_are_read_between(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(
        "cost/train_s,epoch,step,train/loss,val/accuracy\n1.0,0,0,2.0,\n,0,5,,0.5\n3.0,0,10,1.0,\n,0,12,,0.75\n"
    )
    curves = read_curves(tmp_path, NAMES, max_points=100)
    assert curves["train/loss"].steps == (0, 10)
    assert curves["train/loss"].values == (2.0, 1.0)
    assert curves["val/accuracy"].steps == (5, 12)
    assert curves["val/accuracy"].seconds == (2.0, 3.0)


@pytest.mark.parametrize(
    "content",
    ["", "epoch,step\n", "epoch,train/loss\n0,1.0\n", "step,train/loss\n", "step,train/loss\nx,1\n3,nan\n4,inf\n5"],
)
def test_files_without_a_usable_point_give_no_curve(tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics.csv").write_text(content)
    assert read_curves(tmp_path, NAMES, max_points=100) == {}


def test_a_missing_file_gives_no_curve(tmp_path: Path) -> None:
    assert read_curves(tmp_path, NAMES, max_points=100) == {}


def test_a_last_line_cut_short_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,train/loss,val/accuracy\n1,2.0,\n2,1.5,\n3")
    curve = read_curves(tmp_path, NAMES, max_points=100)["train/loss"]
    assert curve.steps == (1, 2)
    assert curve.seconds is None


def test_long_curves_are_thinned_and_keep_their_ends(tmp_path: Path) -> None:
    lines = "".join(f"{step},{step}.5\n" for step in range(5000))
    (tmp_path / "metrics.csv").write_text("step,train/loss\n" + lines)
    curve = read_curves(tmp_path, NAMES, max_points=50)["train/loss"]
    assert len(curve.steps) == 50
    assert (curve.steps[0], curve.steps[-1]) == (0, 4999)
    assert list(curve.steps) == sorted(set(curve.steps))


def test_chart_data_holds_points_costs_and_curves(tmp_path: Path) -> None:
    (table,) = chart_data(compare([showcase(tmp_path)]))["tables"]
    assert len(table["points"]) == 7
    assert [cost["label"] for cost in table["costs"]] == [
        *("training time", "peak memory", "trainable parameters"),
        "lr",  # in which the two rows of lora differ
    ]
    assert all(len(cost["values"]) == 7 for cost in table["costs"])
    assert table["series"] == ["val/accuracy", "val/loss", "train/loss"]
    assert len(table["curves"]) == 23
    dashes = {curve["label"]: curve["dash"] for curve in table["curves"] if curve["method"] == "lora"}
    assert sorted(dashes.values()) == ["dash", "solid"]


def test_a_setting_is_an_axis_whose_lines_join_rows_that_differ_in_nothing_else(tmp_path: Path) -> None:
    for rate in (0.0005, 0.002):
        for rank in (8, 16):
            add_run(tmp_path, "lora", settings={"optim.lr": rate, "method.config.r": rank})
    (table,) = chart_data(compare([tmp_path]))["tables"]
    axes = {axis["label"]: axis for axis in table["costs"] if axis["lines"]}
    assert set(axes) == {"lr", "r"}
    lines: dict[str, list[float]] = {}
    for line, value in zip(axes["lr"]["lines"], axes["lr"]["values"], strict=True):
        lines.setdefault(line, []).append(value["mean"])
    assert {line: sorted(values) for line, values in lines.items()} == {
        "lora method.config.r=8": [0.0005, 0.002],
        "lora method.config.r=16": [0.0005, 0.002],
    }
    assert {point["label"] for point in table["points"]} == {
        *("lora r=8 lr=0.0005", "lora r=8 lr=0.002", "lora r=16 lr=0.0005", "lora r=16 lr=0.002"),
    }


def test_runs_without_metrics_make_no_curves(tmp_path: Path) -> None:
    add_run(tmp_path, "lora", curves=False)
    (table,) = chart_data(compare([tmp_path]))["tables"]
    assert (table["series"], table["curves"]) == ([], [])


def test_a_point_alone_is_no_curve(tmp_path: Path) -> None:
    folder = add_run(tmp_path, "lora", curves=False)
    (folder / "metrics.csv").write_text("step,train/loss,val/loss,val/accuracy\n1,1.5,,\n2,1.4,,\n2,,1.6,0.5\n")
    (table,) = chart_data(compare([tmp_path]))["tables"]
    assert table["series"] == ["train/loss"]


def test_a_method_has_one_colour_and_no_two_share_colour_and_marker(tmp_path: Path) -> None:
    for method in METHODS:
        add_run(tmp_path, method, settings={"dataset.name": f"data_{len(method) % 3}"})
    found = method_styles(compare([tmp_path]))
    assert len(found) == len(METHODS) > len(COLOURS)
    assert len({tuple(sign.values()) for sign in found.values()}) == len(METHODS)


def test_colours_do_not_depend_on_the_results(tmp_path: Path) -> None:
    first = method_styles(compare([demo(tmp_path / "a")]))
    for method, accuracy in {"full": 0.1, "prefix": 0.9, "lora": 0.5}.items():
        add_run(tmp_path / "b", method, accuracy=accuracy)
    assert method_styles(compare([tmp_path / "b"])) == first
