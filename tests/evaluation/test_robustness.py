"""Robustness evaluation on tiny models: it changes no result, and a model without its adapter is the base."""

from pathlib import Path

import pytest
import torch

from ftlab import methods
from ftlab.config.fingerprint import determinants
from ftlab.core.batch import model_inputs
from ftlab.core.errors import UserError
from ftlab.evaluation.batches import evenly_spaced
from ftlab.record import RunRecord
from ftlab.train.run import run
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.fixtures.finished_runs import rows_for
from tests.fixtures.refusals import refused
from tests.rows import plain_text
from tests.training import applied, batch_for, config_for, fresh_base, task_for_model, task_named


def run_tiny(dataset: str, directory: Path, *overrides: str, kind: str = "bert") -> RunRecord:
    rows = f"dataset.source.train={rows_for(dataset)}"
    settings = ["model=hf", f"model.name={tiny(kind)}", f"dataset={dataset}", rows]
    wanted = ("budget=smoke", "tracker=none", "budget.max_length=64", *overrides)
    return run(composed(*settings, *wanted), directory, [])


def general(directory: Path) -> tuple[str, str]:
    """Return the settings by which a text is the general one."""
    text, source = plain_text(directory / "general.txt"), "robustness.forgetting.source"
    return f"{source}._target_=ftlab.data.sources.files.read", f"+{source}.train={text}"


@pytest.fixture(scope="module")
def examined(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """Return the record of a run whose test rows are all examined."""
    return run_tiny("text_files", tmp_path_factory.mktemp("examined") / "run", "dataset.columns.slice=label")


@pytest.mark.xdist_group("examination")
def test_classification_is_examined_and_no_result_moves(examined: RunRecord, tmp_path: Path) -> None:
    record = examined
    plain = run_tiny("text_files", tmp_path / "without", "dataset.columns.slice=label", "robustness=none")
    assert record.metrics == plain.metrics
    assert plain.robustness is None
    assert "adapter_off" not in plain.checks
    assert record.checks["adapter_off"].status == "passed", record.checks["adapter_off"]
    found, rows = record.robustness, record.data.rows["test"]
    assert found.rows == rows
    assert {"typos", "upper", "no_punctuation", "whitespace"} <= set(found.perturbations)
    assert "width" not in found.perturbations, "no row is Chinese"
    test = record.metrics["classification"]["test"]
    assert found.untouched["accuracy"] == test["accuracy"]
    assert found.untouched["loss"].value == pytest.approx(test["loss"].value, rel=1e-6)
    for one in found.perturbations.values():
        assert 0 < one.changed <= 1
        assert one.drop["accuracy"] == pytest.approx(test["accuracy"].value - one.metrics["accuracy"].value)
    assert sum(row.support for row in found.classes) == rows
    assert sum(part.n for part in found.slices if part.by == "label") == rows
    assert sum(part.n for part in found.slices if part.by == "length") == rows
    assert sum(part.n for part in found.reliability) == rows
    assert found.fit.train > 0
    assert found.seconds > 0
    again = RunRecord.model_validate_json(record.model_dump_json())
    assert again.robustness == found


@pytest.mark.xdist_group("examination")
def test_the_same_rows_are_perturbed_alike_for_every_method_and_seed(examined: RunRecord, tmp_path: Path) -> None:
    """Changed shares, and rows, do not depend on the run: neither on its method nor on its seed."""
    other = run_tiny("text_files", tmp_path / "other", "dataset.columns.slice=label", "method=full", "seed=3")
    shares = [{name: (p.changed, p.seen) for name, p in r.robustness.perturbations.items()} for r in (examined, other)]
    assert shares[0] == shares[1]
    assert other.robustness.rows == examined.robustness.rows
    assert "adapter_off" not in other.checks, "the base itself was trained"


def test_rows_are_taken_evenly_and_no_seed_has_a_say() -> None:
    rows = list(range(24))
    assert evenly_spaced(rows, 8) == [0, 3, 6, 9, 12, 15, 18, 21]
    torch.manual_seed(3)
    assert evenly_spaced(rows, 8) == evenly_spaced(rows, 8)
    assert evenly_spaced(rows, 24) == evenly_spaced(rows, 99) == rows


def test_tagged_sentences_keep_their_words(tmp_path: Path) -> None:
    record = run_tiny("token_files", tmp_path / "run", "robustness.rows=8")
    assert record.robustness.rows == 8 < record.data.rows["test"]
    assert set(record.robustness.perturbations) <= {"upper", "lower"}
    assert record.robustness.perturbations
    assert record.robustness.classes


@pytest.mark.slow
def test_a_language_model_forgets(tmp_path: Path) -> None:
    """Running text stands in the next test: masked, it is examined by the same code."""
    dataset, source = "instruction_files", general(tmp_path)
    settings = ("robustness=forgetting", "robustness.forgetting.rows=6", *source, "optim.lr=0.01")
    record = run_tiny(dataset, tmp_path / "run", *settings, "method=full", kind="llama")
    found = record.robustness
    assert found.forgetting.rows == 6
    assert found.forgetting.before["bits_per_byte"].value > 0
    assert found.forgetting.before["loss"].value != found.forgetting.after["loss"].value
    assert found.forgetting.before["loss"].n == found.forgetting.after["loss"].n
    assert not found.perturbations
    still = run_tiny(dataset, tmp_path / "still", *settings, "optim.lr=1e-30", "method=full", kind="llama")
    assert still.robustness.forgetting.before == found.forgetting.before, "the base is the same, whatever trains"
    assert still.robustness.forgetting.after == found.forgetting.before, "nothing was learned, nothing is forgotten"
    plain = run_tiny(dataset, tmp_path / "plain", "robustness=none", "optim.lr=0.01", "method=full", kind="llama")
    assert plain.metrics == record.metrics


def test_masked_language_models_forget_too(tmp_path: Path) -> None:
    source = general(tmp_path)
    settings = ("dataset.task=masked_lm", "robustness=forgetting", "robustness.forgetting.rows=4", *source)
    record = run_tiny("plain_text_files", tmp_path / "run", *settings, kind="masked")
    assert record.robustness.forgetting.before["loss"].value > 0
    assert "bits_per_byte" not in record.robustness.forgetting.before


def test_the_text_that_is_trained_on_is_no_general_text(tmp_path: Path) -> None:
    source = "robustness.forgetting.source=${dataset.source}"
    with refused(UserError, "robustness.forgetting.source", "robustness.forgetting.rows=0"):
        run_tiny("plain_text_files", tmp_path / "run", "robustness=forgetting", source, kind="llama")


def test_it_is_no_part_of_what_a_run_is() -> None:
    assert determinants(composed("robustness=none")) == determinants(composed("robustness=forgetting"))


SWITCHED = ("lora", "dora", "rslora", "ia3", "vera", "loha", "lokr", "oft", "adalora", "adapter", "adapter_pfeiffer")
SOFT = ("prompt", "p_tuning", "prefix", "p_tuning_v2")


@pytest.mark.parametrize("name", [*SWITCHED, *SOFT])
def test_switched_off_is_the_base_to_the_bit(name: str) -> None:
    """With every trainable weight moved, head included; and what trains is still what trains."""
    config = config_for(name, "bert")
    task = task_for_model(config, task_named("classification"))
    batch = model_inputs(batch_for(task))
    base = fresh_base(config, task)
    with torch.no_grad():
        expected = base.model.eval()(**batch).logits
    method = methods.build_method(config.method)
    model = method.apply(base, task).eval()
    trains = {n for n, parameter in model.named_parameters() if parameter.requires_grad}
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)
        changed = method.forward(model, batch)
        bare = method.reference_logits(model, batch)
        after = method.forward(model, batch)
    assert bare is not None
    assert torch.equal(bare, expected)
    assert not torch.equal(changed, expected)
    assert torch.equal(after, changed), "it is switched on again"
    assert {n for n, parameter in model.named_parameters() if parameter.requires_grad} == trains


@pytest.mark.parametrize("name", ["full", "bitfit", "head", "pissa"])
def test_what_changes_the_base_cannot_be_switched_off(name: str) -> None:
    config = config_for(name, "bert")
    task = task_for_model(config, task_named("classification"))
    method, model = applied(config, task)
    assert method.reference_logits(model, model_inputs(batch_for(task))) is None
