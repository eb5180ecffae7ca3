"""Modules with a user's task kinds: what is said where one cannot be used, before anything that it names is run."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ftlab.config import kinds
from ftlab.config.kind_modules import kind_files
from ftlab.config.kinds import kind_named, load_class, register_kinds
from ftlab.core.errors import ConfigError
from tests.fixtures.refusals import refused
from tests.fixtures.user_kinds import KIND, WriteKind


@pytest.mark.parametrize(
    ("text", "culprits"),
    [
        ("x = 1", ("bad.py", "KIND")),
        ("KIND = 'classification'", ("bad.py", "KIND", "TaskKind")),
        ("import nothing_like_it", ("bad.py", "nothing_like_it")),
        ("KIND = [", ("bad.py", "SyntaxError")),
        ("raise ValueError('no\\nway')", ("bad.py", "ValueError", "no")),
        ("import sys\nsys.exit(0)", ("bad.py", "SystemExit")),
        (
            "from ftlab.config.task_kind import TaskKind\nKIND = TaskKind(name='bad', data='a.B')",
            ("bad.py", "TaskKind lacks", "roles", "head", "predict", "usage"),
        ),
    ],
)
def test_a_module_that_is_no_kind_is_one_sentence(write_kind: WriteKind, text: str, culprits: tuple[str, ...]) -> None:
    write_kind("bad.py", text)
    with refused(ConfigError, *culprits) as raised:
        register_kinds(["bad.py"])
    assert "\n" not in str(raised.value)
    assert not kinds._USERS


@pytest.mark.parametrize(
    ("field", "value", "culprits"),
    [
        ("name", "classification", ("classification", "ftlab", "rename")),
        ("name", "seq2seq", ("seq2seq", "ftlab", "rename")),
        ("name", "", ("TaskKind.name",)),
        ("name", 3, ("TaskKind.name",)),
        ("data", "nowhere.Data", ("KIND.data=nowhere.Data",)),
        ("data", "ftlab.data.classification.ClasificationData", ("KIND.data=", "did you mean ClassificationData?")),
        ("data", int, ("TaskKind.data",)),
        ("preview", "no.where.Preview", ("KIND.preview=no.where.Preview", "no")),
        ("preview", 3, ("TaskKind.preview",)),
        ("mixture", True, ("KIND.mixture", "dataset=mixture")),
        ("columns", (), ("KIND.columns",)),
        ("loss_settings", ("class_weigths",), ("TaskKind.loss_settings",)),
        ("rates_of", None, ("TaskKind.rates_of",)),
        ("predict", "function", ("TaskKind.predict",)),
        ("usage", "broken.parts.usage", ("KIND.usage=broken.parts.usage", "ZeroDivisionError")),
        ("head", "ftlab.tasks.classification.Classification", ("TaskKind.head",)),
        ("predicts", "classes", ("TaskKind.predicts",)),
        ("mode", "minimise", ("TaskKind.mode",)),
        ("monitor", "accuracy", ("TaskKind.monitor",)),
        ("columns", "accuracy", ("TaskKind.columns",)),
        ("roles", ("text", "label"), ("TaskKind.roles",)),
        ("losses", "focal", ("TaskKind.losses",)),
        ("settings", "prefix", ("TaskKind.settings",)),
        ("settings", ("labelseparator",), ("KIND.settings", "did you mean label_separator?")),
        ("rates_of", "clasification", ("KIND.rates_of", "did you mean classification?")),
        ("colums", (), ("colums",)),
    ],
)
def test_a_wrong_field_is_one_sentence(
    write_kind: WriteKind, field: str, value: Any, culprits: tuple[str, ...]
) -> None:
    write_kind("broken/__init__.py", "1 / 0")
    shown = "int" if value is int else repr(value)
    changes = f"{field}={shown}" if field == "name" else f"name='bad', {field}={shown}"
    write_kind("bad.py", KIND.format(changes=changes))
    with refused(ConfigError, "bad.py", *culprits) as raised:
        register_kinds(["bad.py"])
    assert "\n" not in str(raised.value)
    assert not kinds._USERS


def test_no_such_file_or_module(write_kind: WriteKind) -> None:
    with refused(ConfigError, "kinds=", "gone.py", "does not exist", "--kinds"):
        register_kinds(["gone.py"])
    with refused(ConfigError, "kinds=gone_too", "No module named"):
        register_kinds(["gone_too"])


def test_two_kinds_of_one_name_are_refused_and_one_kind_twice_is_not(write_kind: WriteKind) -> None:
    write_kind("one/stars_j.py")
    write_kind("two/other_j.py", name="stars_j")
    register_kinds(["one/stars_j.py", "one/stars_j.py"])
    with refused(ConfigError, "other_j.py", "stars_j", "one/stars_j.py", "rename"):
        register_kinds(["two/other_j.py"])


def test_a_file_that_another_module_hides_is_named(write_kind: WriteKind) -> None:
    write_kind("one/json.py", name="mine")
    with refused(ConfigError, "one/json.py", "json", str(json.__file__), "rename"):
        register_kinds(["one/json.py"])
    assert sys.modules["json"] is json


def test_a_part_that_a_module_of_another_project_hides_is_named(write_kind: WriteKind) -> None:
    for project, kind in (("one", "stars_k"), ("two", "stars_l")):
        write_kind(f"{project}/parts_k.py", "class Data: pass")
        write_kind(f"{project}/{kind}.py", data="parts_k.Data")
    with refused(ConfigError, "two/stars_l.py", "KIND.data=parts_k.Data", "hidden", "one/parts_k.py"):
        register_kinds(["one/stars_k.py", "two/stars_l.py"])


def test_what_a_part_fails_to_import_is_named_with_its_place(write_kind: WriteKind, tmp_path: Path) -> None:
    write_kind("package_t/__init__.py", "")
    write_kind("package_t/parts.py", "\nimport not_installed_t\n\nclass Data: pass\n")
    write_kind("stars_t.py", data="package_t.parts.Data")
    register_kinds(["stars_t.py"])
    with refused(ConfigError, "package_t.parts.Data", "not_installed_t", f"{tmp_path}/package_t/parts.py:2"):
        load_class(kind_named("stars_t"), "package_t.parts.Data", object)


def test_names_that_a_part_may_have_are_seen_without_running_it(write_kind: WriteKind) -> None:
    parts = (
        "import torch as t\nif t:\n    def usage(): pass\ntry:\n    from x import Data\nexcept ImportError:\n    pass\n"
    )
    write_kind("parts_m.py", parts + "raise SystemExit('this file was run')")
    write_kind("stars_m.py", data="parts_m.Data", usage="parts_m.usage", preview="parts_m.t")
    register_kinds(["stars_m.py"])
    write_kind("parts_n.py", "from somewhere import *")
    write_kind("stars_n.py", data="parts_n.Anything")
    register_kinds(["stars_n.py"])
    for path, culprits in (("parts_m.Data", ("SystemExit",)), ("json.dumps", ("json.dumps is no ", "Path"))):
        with refused(ConfigError, path, *culprits):
            load_class(kind_named("stars_m"), path, Path)


def test_files_are_searched_without_being_run(write_kind: WriteKind, tmp_path: Path) -> None:
    write_kind("kinds/a.py")
    write_kind("kinds/parts.py", "from a import KIND\nraise SystemExit('this file was run')")
    write_kind("kinds/b.py", "KIND: int = 3\nraise SystemExit('this file was run')")
    write_kind("kinds/.#a.py", "what an editor left (")
    write_kind("kinds/notes.txt", "KIND = 1")
    assert [Path(file).name for file in kind_files(tmp_path / "kinds")] == ["a.py", "b.py"]
    assert kind_files(tmp_path / "missing") == []
    write_kind("kinds/c.py", "KIND = (")
    with refused(ConfigError, "c.py"):
        kind_files(tmp_path / "kinds")
