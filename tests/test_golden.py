"""What a command line means, and what training gives, changes on purpose only: with `pytest --update-golden`."""

import json
from pathlib import Path

import pytest
import yaml
from lightning.pytorch import seed_everything

from ftlab import tasks
from ftlab.optim import optimizer_maker
from ftlab.paths import conf_dir
from tests.configs import as_dict
from tests.training import applied, batch_for, config_for, task_named

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
def test_loss_curve(name: str, tmp_path: Path, update_golden: bool) -> None:
    """Eight steps of the tiny BERT in fp32 on the CPU, dropout included."""
    task = task_named("classification")
    config = config_for(name, "bert", tmp_path)
    method, model = applied(config, task)
    module = tasks.build(task, model, method, optimizer_maker(config.optim, total_steps=8))
    configured = module.configure_optimizers()
    optimizer, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    seed_everything(0, verbose=False)
    losses = []
    for step in range(8):
        optimizer.zero_grad()
        loss = module.loss(batch_for(task, seed=step))
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(round(loss.item(), 6))
    path = GOLDEN / "curves.json"
    curves = json.loads(path.read_text()) if path.exists() else {}
    if update_golden:
        curves[name] = losses
        path.write_text(json.dumps(dict(sorted(curves.items())), indent=1) + "\n")
    assert losses == pytest.approx(curves[name], rel=1e-4)
