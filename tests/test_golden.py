"""What a command line means, and what training gives, changes on purpose only: with `pytest --update-golden`."""

import json
from pathlib import Path

import pytest
import yaml
from lightning.pytorch import seed_everything

from ftlab.paths import conf_dir
from tests.fixtures.compose import as_dict, composed
from tests.tiny import KINDS
from tests.training import batch_for, config_for, declared, module_for, posed, task_named, two_epochs

GOLDEN = Path(__file__).parent / "golden"
CHOICES = [
    f"{group}={path.stem}" for group in ("method", "experiment") for path in sorted((conf_dir() / group).glob("*.yaml"))
]
METHODS = sorted(path.stem for path in (conf_dir() / "method").glob("*.yaml"))


def test_there_is_something_to_compare() -> None:
    assert {"method=lora", "method=full", "experiment=bert_imdb_full", "experiment=gpt2_wikitext_prefix"} <= set(
        CHOICES
    )


@pytest.mark.parametrize("choice", CHOICES)
def test_resolved_configuration(choice: str, update_golden: bool) -> None:
    path = GOLDEN / "configs" / f"{choice.replace('=', '-')}.yaml"
    resolved = as_dict(choice)
    if update_golden:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True), encoding="utf-8")
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == resolved


def test_no_golden_file_is_left_over() -> None:
    names = {path.stem for path in (GOLDEN / "configs").glob("*.yaml")}
    assert names == {choice.replace("=", "-") for choice in CHOICES}
    assert set(json.loads((GOLDEN / "curves.json").read_text())) == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_loss_curve(name: str, tmp_path: Path, update_golden: bool) -> None:
    """Eight steps in fp32 on the CPU, dropout and the method's callbacks included, on the first model that fits."""
    task = task_named("classification")
    expect = composed(f"method={name}").method.expect
    kind = next(kind for kind in KINDS if declared(expect, "refuses", kind, task) is None)
    config = config_for(name, kind)
    task = posed(config, task)
    module = module_for(config, task, steps=8)
    batches = [batch_for(task, seed=seed) for seed in range(4)]
    seed_everything(0, verbose=False)
    if module.trainable:
        losses = two_epochs(module, batches, tmp_path)
    else:
        losses = [module.loss(batch).item() for batch in batches]
    found = {"model": kind, "losses": [round(loss, 6) for loss in losses]}
    path = GOLDEN / "curves.json"
    curves = json.loads(path.read_text()) if path.exists() else {}
    if update_golden:
        curves[name] = found
        path.write_text(json.dumps(dict(sorted(curves.items())), indent=1) + "\n")
    assert curves[name]["model"] == kind
    # bitsandbytes has other kernels for AVX2 than for AVX-512, where the file was made: losses differ by 1.2e-3
    rel = 5e-3 if config.quant.name == "nf4" else 1e-4
    assert found["losses"] == pytest.approx(curves[name]["losses"], rel=rel)
