"""Every preset composes, fits the schema, and calls a source that takes its arguments."""

import inspect
import re
from functools import cache
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_method
from omegaconf import OmegaConf

from ftlab.config.groups import DatasetConfig
from ftlab.data.prompting.templates import TEMPLATES
from ftlab.data.sources.files import read

FOLDER = Path(__file__).resolve().parents[3] / "conf"
MIXTURES = ("mixture", "news_and_topics")  # tests/data/test_mixture.py has them
pytestmark = pytest.mark.xdist_group("presets")  # each is composed once
PRESETS = sorted(path.stem for path in (FOLDER / "dataset").glob("[!_]*.yaml") if path.stem not in MIXTURES)


@cache
def _preset(name: str) -> DatasetConfig:
    with initialize_config_dir(str(FOLDER), version_base="1.3"):
        config = compose(f"dataset/{name}")
    return DatasetConfig.model_validate(OmegaConf.to_container(config.dataset, resolve=True))


def test_presets_are_there() -> None:
    expected = {"bbc_news", "chatterbot", "chatterbot_zh", "text_files", "instruction_files", "plain_text_files"}
    expected |= {"multilabel_files", "regression_files", "stsb", "go_emotions", "mrpc", "emotion", "banking77"}
    expected |= {"imdb", "ag_news", "sst2", "alpaca", "alpaca_zh", "wikitext"}
    expected |= {"seq2seq_files", "xsum", "cnn_dailymail", "gsm8k"}
    assert expected <= set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_whole(name: str) -> None:
    first = (FOLDER / "dataset" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    config = _preset(name)
    assert config.name == ("files" if name.endswith("_files") else name), "of files, the name is that of the file"
    roles = config.kind.roles
    assert set(roles.required) <= config.columns.keys() <= set(roles.all)
    assert config.template is None or config.template in TEMPLATES
    source = dict(config.source)
    inspect.signature(get_method(source.pop("_target_"))).bind(**source)


def test_a_preset_for_files_asks_for_the_file() -> None:
    needing = [name for name in PRESETS if _preset(name).source.get("train") == "???"]
    assert needing == [
        "instruction_files",
        "multilabel_files",
        "plain_text_files",
        "regression_files",
        "seq2seq_files",
        "text_files",
        "token_files",
    ]


def test_a_preset_for_files_has_every_setting_of_their_reader() -> None:
    sources = [_preset(name).source for name in PRESETS]
    files = [source for source in sources if source["_target_"] == "ftlab.data.sources.files.read"]
    assert len(files) >= 6
    assert all(set(source) - {"_target_"} == set(inspect.signature(read).parameters) for source in files)


def test_chatterbot_zh_differs_in_its_language_alone() -> None:
    english, chinese = _preset("chatterbot"), _preset("chatterbot_zh")
    assert chinese.source["languages"] == ["chinese"]
    assert chinese.model_copy(update={"name": "chatterbot", "source": english.source}) == english


def test_the_presets_in_the_docs(tmp_path: Path) -> None:
    text = (FOLDER.parent / "docs" / "add_a_dataset.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 2
    targets = []
    for block in blocks:
        (tmp_path / "dataset").mkdir(exist_ok=True)
        (tmp_path / "dataset" / "tickets.yaml").write_text(block, encoding="utf-8")
        with initialize_config_dir(str(tmp_path), version_base="1.3"):
            config = compose("dataset/tickets", overrides=[f"hydra.searchpath=[file://{FOLDER}]"])
        preset = DatasetConfig.model_validate(OmegaConf.to_container(config.dataset, resolve=True))
        assert (preset.name, preset.max_length) == ("tickets", 192)
        targets.append(preset.source["_target_"])
    assert targets == ["ftlab.data.sources.files.read", "tickets.read"]
