"""Equal fingerprints mean the same run: what changes a result changes it, what does not leaves it alone."""

from pathlib import Path

import pytest

from ftlab.config.fingerprint import config_hash, determinants, fingerprint
from ftlab.sweeps.jobs import run_name
from tests.fixtures.compose import composed


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTLAB_CACHE", str(tmp_path_factory.mktemp("cache")))


def _fingerprint(*overrides: str, data: str = "d", base: str = "b") -> str:
    return fingerprint(composed(*overrides), data_hash=data, base_hash=base)


@pytest.mark.parametrize(
    "override",
    [
        "tracker=none",
        "sweep.dir=elsewhere",
        "sweep.val_predictions=true",
        "hardware.num_workers=2",
        "hardware.eval_batch_size=8",
        "dataset.source._target_=ftlab.data.sources.wheels.same_rows_from_elsewhere",
        "method.search.lr=[1.0]",
        "model.name=another_label",
    ],
)
def test_what_changes_no_result_changes_no_fingerprint(override: str) -> None:
    assert _fingerprint(override) == _fingerprint()


@pytest.mark.parametrize(
    "override",
    ["seed=1", "method=full", "optim.lr=0.5", "method.config.r=4", "budget.max_length=32", "dataset.split_seed=1"],
)
def test_what_changes_a_result_changes_the_fingerprint(override: str) -> None:
    assert _fingerprint(override) != _fingerprint()
    assert config_hash(composed(override)) != config_hash(composed())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["budget.max_length=32"], ["budget.max_length=null", "dataset.max_length=32"]),
        (["budget.steps=5", "budget.epochs=1"], ["budget.steps=5", "budget.epochs=3"]),
    ],
)
def test_a_setting_that_another_overrules_does_not_count(one: list[str], other: list[str]) -> None:
    assert determinants(composed(*one)) == determinants(composed(*other))
    assert _fingerprint(*one) == _fingerprint(*other) != _fingerprint()


def test_data_and_weights_count_by_content() -> None:
    assert len({_fingerprint(), _fingerprint(data="e"), _fingerprint(base="c")}) == 3


def test_before_the_data_is_read_its_place_counts() -> None:
    mine, yours = (composed("dataset=text_files", f"dataset.source.train={name}.csv") for name in ("mine", "yours"))
    assert config_hash(mine) != config_hash(yours)


def test_a_file_of_the_data_counts_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reviews = Path("reviews.csv")
    reviews.write_text("text,label\ngood,1\n")
    config = composed("dataset=text_files", "dataset.source.train=reviews.csv", "sweep.dir=x")
    before, hashed = run_name(config), config_hash(config)
    assert run_name(config) == before
    reviews.write_text("text,label\ngood,1\nbad,0\n")
    assert run_name(config) != before
    assert config_hash(config) != hashed


def test_the_other_file_of_a_pair_counts_by_content(tmp_path: Path) -> None:
    (tmp_path / "seq.in").write_text("a b\n")
    (tmp_path / "seq.out").write_text("O O\n")
    config = composed("dataset=token_files", f"dataset.source.train={tmp_path}/seq.in")
    before = config_hash(config)
    (tmp_path / "seq.out").write_text("O B-x\n")
    assert config_hash(config) != before


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_model_folder_counts_by_content(tmp_path: Path, file: str) -> None:
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    config = composed("model=hf", f"model.name={tmp_path}")
    before = config_hash(config)
    (tmp_path / file).write_text('{"changed": true}')
    assert config_hash(config) != before


def test_what_is_no_path_stands_for_itself() -> None:
    odd = ["", "~nobody-of-this-name/x.csv", "x" * 5000, "nowhere.csv"]
    hashes = {config_hash(composed("dataset=text_files", f"dataset.source.train='{path}'")) for path in odd}
    assert len(hashes) == len(odd)


def test_numerics_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = _fingerprint(), config_hash(composed())
    monkeypatch.setattr("ftlab.config.fingerprint.NUMERICS_VERSION", 0)
    assert not {_fingerprint(), config_hash(composed())} & {*before}
