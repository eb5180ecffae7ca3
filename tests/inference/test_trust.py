"""A run's folder that is trained again names no code of somebody else's: not in its method, nor in its data."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ftlab.config.compose import resolve
from ftlab.config.run_config import RunConfig, validate
from ftlab.core.errors import ConfigError, UserError
from ftlab.inference.trust import recorded_config, require_harmless, require_harmless_training
from tests.fixtures.compose import as_dict, compose_cached
from tests.fixtures.refusals import refused
from tests.mixing import settings as mixture


def changed(values: dict[str, Any], key: str, value: object) -> RunConfig:
    place: Any = values
    *parents, last = key.split("/")
    for parent in parents:
        place = place[parent]
    place[last] = value
    return validate(values)


@pytest.mark.parametrize(
    ("key", "value", "setting"),
    [
        ("method/_target_", "mine.Mine", "method._target_=mine.Mine"),
        ("method/config/_target_", "os.system", "method.config._target_=os.system"),
        ("dataset/source/_target_", "mine.read", "dataset.source._target_=mine.read"),
        ("dataset/source/_target_", "datasets.load_dataset", "dataset.source._target_"),
        ("dataset/source/_target_", "ftlab.data.sources.source.read_source", "dataset.source._target_"),
        ("dataset/source/_target_", "ftlab.data.sources.wheels.wheel_files", "dataset.source._target_"),
        ("dataset/source/_target_", "ftlab.methods.partial.Full", "dataset.source._target_"),
        ("dataset/source/languages", [{"_target_": "os.getcwd"}], "dataset.source.languages.0._target_"),
        ("dataset/source/train", "${oc.env:HOME}", "dataset.source.train"),
        ("dataset/source/trust_remote_code", True, "dataset.source.trust_remote_code"),
        ("dataset/source/options", {"trust_remote_code": [1]}, "trust_remote_code"),
        ("robustness/forgetting/source/_target_", "mine.read", "robustness.forgetting.source._target_"),
        ("model/trust_remote_code", True, "model.trust_remote_code"),
        ("method/config/tokenizer_kwargs", {"trust_remote_code": True}, "trust_remote_code"),
        ("method/config/megatron_core", "antigravity", "megatron_core"),
    ],
)
def test_code_of_somebody_else_needs_trust(key: str, value: object, setting: str, tmp_path: Path) -> None:
    config = changed(as_dict("method=lora", "dataset=chatterbot", "model=smollm2-135m"), key, value)
    with refused(UserError, setting, tmp_path, "--trust"):
        require_harmless_training(config, tmp_path)


def test_the_data_of_a_mixture_need_trust_too(tmp_path: Path) -> None:
    config = resolve(compose_cached(*mixture(tmp_path), "sweep.name=test"))
    require_harmless_training(config, tmp_path)
    (name, *_) = config.dataset.parts
    values = config.model_dump(mode="json", by_alias=True)
    with refused(UserError, f"dataset.parts.{name}.source._target_=mine.read", "--trust"):
        require_harmless_training(changed(values, f"dataset/parts/{name}/source/_target_", "mine.read"), tmp_path)


def test_a_model_alone_may_have_been_trained_on_data_of_any_source(tmp_path: Path) -> None:
    require_harmless(changed(as_dict("method=lora"), "dataset/source/_target_", "mine.read"), tmp_path / "adapter")


def test_presets_are_harmless_and_checked_without_torch() -> None:
    script = """
import sys
from pathlib import Path
from ftlab.config.paths import conf_dir
from ftlab.inference.trust import require_harmless_training
from tests.fixtures.compose import composed
methods = [path.stem for path in conf_dir().glob("method/[!_]*.yaml")]
assert len(methods) > 20
for method in methods:
    require_harmless_training(composed(f"method={method}"), Path())
for dataset in ("imdb", "chatterbot", "conll2003", "news_and_topics"):
    require_harmless_training(composed(f"dataset={dataset}", "robustness=forgetting"), Path())
print(*({"torch", "peft"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_a_configuration_that_is_nested_without_end_is_told(tmp_path: Path) -> None:
    values = as_dict("method=lora")
    nested: dict[str, Any] = {}
    for _ in range(900):
        nested = {"a": nested}
    values["method"]["config"]["x"] = nested
    with refused(ConfigError, "nested"):
        recorded_config(values, tmp_path)
