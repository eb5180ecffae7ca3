"""Golden configurations: what a command line means changes on purpose only (`pytest --update-golden`)."""

from pathlib import Path

import pytest
import yaml

from ftlab.config.paths import conf_dir
from tests.fixtures.compose import as_dict

GOLDEN = Path(__file__).parent / "golden"
CHOICES = [
    f"{group}={path.stem}" for group in ("method", "experiment") for path in sorted((conf_dir() / group).glob("*.yaml"))
]


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
