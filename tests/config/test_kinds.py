"""A user's own task kinds: how they are found, and what is said where they cannot be used."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.config import kinds
from ftlab.config.fingerprint import config_hash, determinants
from ftlab.config.kinds import all_kinds, entry_of, kind_files, kind_named, register_kinds
from ftlab.config.run_config import validate
from ftlab.core.errors import ConfigError
from tests.fixtures.compose import as_dict, compose_anew, composed
from tests.fixtures.refusals import refused

KIND = """
from dataclasses import replace
from ftlab.kinds.classification import KIND as CLASSIFICATION
KIND = replace(CLASSIFICATION, {changes})
"""


@pytest.fixture(autouse=True)
def no_kinds_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test begins without kinds of its own, in a folder of its own, and leaves no module behind."""
    monkeypatch.setattr(kinds, "_USERS", {})
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_kind(path: str, text: str | None = None, **changes: Any) -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        values = {"name": file.stem, **changes}
        listed = ", ".join(f"{key}={value!r}" for key, value in values.items())
        file.write_text(KIND.format(changes=listed) if text is None else text)
        return file

    return write_kind


def test_a_module_in_the_working_directory_is_a_kind(write: Write) -> None:
    write("stars_a.py", loss_per="word")
    config = composed("dataset.task=stars_a", "kinds=[stars_a]")
    assert config.dataset.kind.loss_per == "word"
    assert config.kinds == ["stars_a"]
    assert kind_named("stars_a") in all_kinds()


def test_a_file_is_a_kind_wherever_it_lies_and_its_path_is_absolute(write: Write, tmp_path: Path) -> None:
    write("deep/er/stars_b.py")
    config = composed("dataset.task=stars_b", "kinds=[deep/er/stars_b.py]")
    assert config.kinds == [str(tmp_path / "deep" / "er" / "stars_b.py")]
    again = config.model_dump(mode="json", by_alias=True)
    assert validate(again) == config


def test_kinds_that_a_run_does_not_need_are_no_part_of_its_configuration(write: Write) -> None:
    write("stars_c.py")
    write("stars_d.py")
    register_kinds(["stars_c", "stars_d"])
    assert composed("kinds=[stars_c]").kinds == []
    assert "kinds" not in composed().model_dump(mode="json")
    assert composed("dataset.task=stars_d").kinds == ["stars_d"]  # of the folder of a --config-dir
    assert entry_of("classification") is None


def test_where_a_kind_lies_does_not_change_what_a_run_is(write: Write, tmp_path: Path) -> None:
    write("one/stars_e.py")
    values = {**as_dict(), "kinds": ["one/stars_e.py"]}
    values["dataset"]["task"] = "stars_e"
    here = validate(values)
    assert determinants(here)["kinds"] == ["stars_e"]
    assert "kinds" not in determinants(composed())
    elsewhere = here.model_copy(update={"kinds": ["/elsewhere/stars_e.py"]})
    assert config_hash(elsewhere) == config_hash(here)
    assert config_hash(here.model_copy(update={"kinds": ["/elsewhere/stars_f.py"]})) != config_hash(here)


@pytest.mark.parametrize("method", ["prefix", "head", "p_tuning"])
def test_a_method_with_a_rate_for_each_kind_has_one_for_a_users_kind(write: Write, method: str) -> None:
    write("stars_g.py")
    write("stars_h.py", rates_of="instruction")
    rates = composed(f"method={method}").method.lr_by_task
    for name, like in (("stars_g", "classification"), ("stars_h", "instruction")):
        compose_anew(f"method={method}", f"dataset.task={name}", f"kinds=[{name}]")
        assert composed(f"method={method}", f"dataset.task={name}", f"kinds=[{name}]").optim.lr == rates[like]


def test_a_kind_has_its_own_losses(write: Write) -> None:
    write("stars_i.py", losses=("soft", "cross_entropy"), loss_settings=())
    settings = ("dataset.task=stars_i", "kinds=[stars_i]")
    assert composed(*settings, "loss.name=soft").loss.name == "soft"
    with refused(ConfigError, "loss=focal", "classification or multilabel", "stars_i", "loss=default"):
        composed(*settings, "loss=focal")
    with refused(ConfigError, "loss.label_smoothing", "stars_i"):
        composed(*settings, "loss.label_smoothing=0.1")
    with refused(ConfigError, "loss.name", "softt", "did you mean soft?"):
        composed(*settings, "loss.name=softt")


def test_an_unknown_kind_is_named_with_the_known_ones() -> None:
    with refused(ConfigError, "dataset.task", "clasification", "did you mean classification?", "seq2seq", "kinds="):
        composed("dataset.task=clasification")


@pytest.mark.parametrize(
    ("text", "culprits"),
    [
        ("x = 1", ("bad.py", "KIND")),
        ("KIND = 'classification'", ("bad.py", "KIND", "TaskKind")),
        ("import nothing_like_it", ("bad.py", "nothing_like_it")),
        ("KIND = [", ("bad.py", "SyntaxError")),
        ("raise SystemError('no\\nway')", ("bad.py", "SystemError", "no")),
        (
            "from ftlab.config.task_kind import TaskKind\nKIND = TaskKind(name='bad', data='a.B')",
            ("bad.py", "KIND", "missing", "roles", "head", "predict", "usage"),
        ),
        (KIND.format(changes="name='bad', data='nowhere.Data'"), ("bad.py", "KIND.data=nowhere.Data")),
        (KIND.format(changes="name='bad', preview='no.where.Preview'"), ("bad.py", "KIND.preview=no.where.Preview")),
        (KIND.format(changes="name='bad', predict='function'"), ("bad.py", "KIND.predict=function")),
        (KIND.format(changes="name='classification'"), ("bad.py", "classification", "ftlab", "rename")),
        (KIND.format(changes="name='seq2seq'"), ("bad.py", "seq2seq", "ftlab", "rename")),
    ],
)
def test_a_kind_that_lacks_something_is_one_sentence(write: Write, text: str, culprits: tuple[str, ...]) -> None:
    write("bad.py", text)
    with refused(ConfigError, *culprits) as raised:
        register_kinds(["bad.py"])
    assert "\n" not in str(raised.value)
    assert not kinds._USERS


def test_no_such_file_or_module(write: Write) -> None:
    with refused(ConfigError, "kinds=", "gone.py", "does not exist"):
        register_kinds(["gone.py"])
    with refused(ConfigError, "kinds=gone_too", "No module named"):
        register_kinds(["gone_too"])


def test_two_kinds_of_one_name_are_refused_and_one_kind_twice_is_not(write: Write) -> None:
    write("one/stars_j.py")
    write("two/other_j.py", name="stars_j")
    register_kinds(["one/stars_j.py", "one/stars_j.py"])
    with refused(ConfigError, "other_j.py", "stars_j", "one/stars_j.py", "rename"):
        register_kinds(["two/other_j.py"])


def test_a_file_that_another_module_hides_is_named(write: Write) -> None:
    write("one/json.py", name="mine")
    with refused(ConfigError, "one/json.py", "json", "rename"):
        register_kinds(["one/json.py"])


def test_files_are_searched_without_being_run(write: Write, tmp_path: Path) -> None:
    write("kinds/a.py")
    write("kinds/parts.py", "raise SystemExit('this file was run')")
    write("kinds/b.py", "KIND: int = 3\nraise SystemExit('this file was run')")
    write("kinds/notes.txt", "KIND = 1")
    assert [Path(file).name for file in kind_files(tmp_path / "kinds")] == ["a.py", "b.py"]
    assert kind_files(tmp_path / "missing") == []
    write("kinds/c.py", "KIND = (")
    with refused(ConfigError, "c.py"):
        kind_files(tmp_path / "kinds")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_text_is_a_known_kind_or_one_sentence(name: str) -> None:
    if name in [kind.name for kind in all_kinds()]:
        assert kind_named(name).name == name
    else:
        with refused(ConfigError, f"dataset.task={name} "):
            kind_named(name)


@pytest.mark.parametrize("value", [3, {"a": 1}, [1, 2], None])
def test_kinds_are_a_list_of_names(value: Any) -> None:
    with refused(ConfigError, "kinds"):
        validate({**as_dict(), "kinds": value})
