"""Former names of import paths and settings: read as the present ones, and hashed as they were."""

import pytest
from hydra.errors import ConfigCompositionException
from hydra.utils import get_object

from ftlab.config.compose import explain
from ftlab.config.fingerprint import config_hash
from ftlab.config.moved import MOVED, RENAMED_SETTINGS, with_current_names, with_original_targets
from ftlab.config.run_config import validate
from ftlab.core.errors import ConfigError
from tests.fixtures.compose import compose_anew, composed
from tests.fixtures.refusals import refused

OLD_TARGETS = [
    *("ftlab.data.conll.read", "ftlab.data.files.read", "ftlab.data.hub.load", "ftlab.data.wheels.bbc_news"),
    *("ftlab.methods.floors.Majority", "ftlab.methods.prompted.PromptHead", "ftlab.methods.selective.Full"),
]


def test_every_moved_module_is_tried_here() -> None:
    assert {target.rpartition(".")[0] for target in OLD_TARGETS} == set(MOVED)


@pytest.mark.parametrize("target", OLD_TARGETS)
def test_a_former_path_leads_to_what_it_named(target: str) -> None:
    config = {"method": {"_target_": target, "config": [{"_target_": target}]}, "other": target}
    current = with_current_names(config)
    assert get_object(current["method"]["_target_"]).__name__ == target.rpartition(".")[2]
    assert current["method"]["config"][0] == {"_target_": current["method"]["_target_"]}
    assert current["other"] == target, "only a _target_ is an import path"
    assert with_original_targets(current) == config


def test_a_configuration_of_then_is_the_one_of_today() -> None:
    today = composed("method=full", "dataset=text_files", "dataset.source.train=rows.csv", "speed.frozen_layers=off")
    then = with_original_targets(today.model_dump(mode="json", by_alias=True))
    for group, names in RENAMED_SETTINGS.items():
        for former, name in names.items():
            then[group][former] = then[group].pop(name)
    assert then["method"]["_target_"] == "ftlab.methods.selective.Full"
    assert validate(then) == today
    assert config_hash(validate(then)) == config_hash(today)


def test_both_names_of_a_setting_are_one_too_many() -> None:
    with refused(ConfigError, "speed.trunk", "speed.frozen_layers"):
        composed("+speed.trunk=off")


def test_a_former_setting_is_told_its_present_name() -> None:
    with pytest.raises(ConfigCompositionException) as caught:
        compose_anew("speed.trunk=off")
    sentence = explain(caught.value)
    assert "speed.trunk" in sentence
    assert "speed.frozen_layers" in sentence
