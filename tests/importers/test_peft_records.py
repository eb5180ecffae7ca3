"""Records of peft's results: what they say, where they lie, and how they are compared."""

import json
from pathlib import Path
from typing import Any

import pytest

from ftlab.comparison import compare
from ftlab.comparison.render.main_table import caption
from ftlab.core.errors import UserError
from ftlab.importers.peft_records import import_results
from ftlab.importers.peft_results import read_results
from ftlab.inference.trust import recorded_config
from ftlab.record import find_records, read_record
from tests.fixtures.refusals import refused
from tests.importers.peft_files import result, write_result


def imported(tmp_path: Path, *campaigns: list[dict[str, Any]], reruns_as_seeds: bool = False) -> Path:
    """Import campaigns of results; return the folder of the runs."""
    folders = [tmp_path / f"campaign{number}" for number in range(len(campaigns))]
    for folder, contents in zip(folders, campaigns, strict=True):
        for content in contents:
            write_result(folder, content)
    import_results(read_results(folders), tmp_path / "outputs" / "peft", reruns_as_seeds=reruns_as_seeds)
    return tmp_path / "outputs" / "peft"


def test_what_a_record_says(tmp_path: Path) -> None:
    record = read_record(imported(tmp_path, [result()]) / "lora-tiny-rank8-s0")
    assert (record.status, record.method, record.model, record.dataset, record.seed) == (
        *("completed", "lora/tiny-rank8", "someone/tiny", "metamath+gsm8k", 0),
    )
    accuracy = record.test_metric("accuracy")
    assert accuracy is not None
    assert (accuracy.value, accuracy.n) == (660 / 1319, 1319)
    assert record.cost is not None
    # the file's 70 s of training include the test: 42 s were steps
    assert (record.cost.train_s, record.cost.eval_s, record.cost.setup_s) == (42, 38, 20)
    assert record.cost.base_weight_bytes == 200_000
    assert record.origin is not None
    assert record.origin.kind == "foreign"
    assert record.versions["data gsm8k"] == "cc1"
    assert record.data is None
    assert any("no predictions" in warning for warning in record.warnings)


@pytest.mark.parametrize(
    ("message", "status"),
    [("manually canceled", "interrupted"), ("CUDA out of memory. Tried …", "oom"), ("shapes differ", "failed")],
)
def test_a_canceled_run_says_why(message: str, status: str, tmp_path: Path) -> None:
    content = result()
    content["train_info"] |= {"status": "canceled", "metrics": []}
    content["run_info"]["error_msg"] = message
    ((_, record),) = find_records(imported(tmp_path, [content]))
    assert (record.status, record.cost) == (status, None)
    assert record.failure is not None
    assert message in record.failure.message


def test_an_accuracy_that_is_no_number_has_no_value(tmp_path: Path) -> None:
    ((_, record),) = find_records(imported(tmp_path, [result(accuracy=float("nan"))]))
    accuracy = record.test_metric("accuracy")
    assert accuracy is not None
    assert (accuracy.value, accuracy.n) == (None, 0)


@pytest.mark.parametrize("name", ["../../up", "/root", ".ftlab-removed-x", "a\x00b\n", "\x1b[31m", "…", "x/" * 99])
def test_no_name_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    for number in (1, 2):
        (write_result(folder, result("plain", month=number))).rename(folder / f"{number}.json")
        content = json.loads((folder / f"{number}.json").read_text())
        content["run_info"]["experiment_name"] = name
        (folder / f"{number}.json").write_text(json.dumps(content))
    runs = import_results(read_results([folder]), tmp_path / "to")
    assert len(set(runs)) == 2
    assert {path.parent for path in tmp_path.rglob("record.json")} == set(runs)
    assert all(run.parent == tmp_path / "to" for run in runs)
    assert not any(run.name.startswith(".") for run in runs)


def test_nothing_is_overwritten_or_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to = imported(tmp_path, [result()])
    results = read_results([tmp_path / "campaign0"])
    with refused(UserError, to, "exists"):
        import_results(results, to)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ftlab.record.RunRecord.write", full)
    with pytest.raises(OSError, match="space"):
        import_results(results, tmp_path / "new" / "peft")
    assert list((tmp_path / "new").iterdir()) == []


def test_one_run_each_gives_marks_and_no_test(tmp_path: Path) -> None:
    to = imported(tmp_path, [result("a"), result("b", accuracy=0.25), result("c", month=2), result("d", month=2)])
    (table,) = compare([to]).tables
    assert table.family is not None
    assert all(contrast.p is None for contrast in table.family.contrasts)
    assert any("torch version" in warning for warning in table.warnings)
    assert "Test n = 1,319 (" in caption(table)
    assert any("c, d are not tested" in note for note in table.family.notes)


def _campaigns() -> list[list[dict[str, Any]]]:
    return [
        [result("lora/a", accuracy=(660 + month) / 1319, month=month), result("b", accuracy=300 / 1319, month=month)]
        for month in (1, 2, 3)
    ]


def test_a_rerun_replaces_the_run_before_it(tmp_path: Path) -> None:
    (table,) = compare([imported(tmp_path, *_campaigns())]).tables
    assert [len(row.runs) for row in table.rows] == [1, 1]
    assert len(table.superseded) == 4


def test_reruns_count_as_seeds_where_the_user_says_so(tmp_path: Path) -> None:
    campaigns = _campaigns()
    for content in campaigns[2]:  # a later PEFT has a setting more, and writes sets in another order
        content["run_info"]["peft_config"] |= {"use_new": 16, "target_modules": ["q_proj", "v_proj"]}
    (table,) = compare([imported(tmp_path, *campaigns, reruns_as_seeds=True)]).tables
    assert [[run.record.seed for run in row.runs] for row in table.rows] == [[0, 1000, 2000]] * 2
    assert table.family is not None
    assert all(contrast.p is not None and contrast.p < 0.01 for contrast in table.family.contrasts)
    assert any("stands for a rerun" in text for run in table.runs for text in run.record.warnings)


def test_other_settings_are_another_row(tmp_path: Path) -> None:
    other = result("lora/a", month=2)
    other["run_info"]["train_config"]["optimizer_kwargs"] = {"lr": 0.1, "name": "x", "batch_size": 9}
    (table,) = compare([imported(tmp_path, [result("lora/a")], [other], reruns_as_seeds=True)]).tables
    assert sorted(row.label for row in table.rows) == ["lora/a optim.lr=0.001", "lora/a optim.lr=0.1"]


def test_a_seed_that_a_campaign_may_have_is_refused(tmp_path: Path) -> None:
    content = result()
    content["run_info"]["train_config"]["seed"] = 1000
    with refused(UserError, "train_config.seed", "--reruns-as-seeds"):
        imported(tmp_path, [content], reruns_as_seeds=True)


def test_an_imported_run_has_no_model(tmp_path: Path) -> None:
    run = imported(tmp_path, [result()]) / "lora-tiny-rank8-s0"
    with refused(UserError, run, "imported"):
        recorded_config(read_record(run).config, run)
