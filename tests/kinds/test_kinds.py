"""The kinds that ftlab has: each is whole, and its parts are what the kind says they are."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import ftlab.kinds
from ftlab.config.kinds import all_kinds, kind_named, load_class, load_part
from ftlab.config.task import Task, mixture_task
from ftlab.config.task_kind import TaskKind
from ftlab.data.dataset import data_class_of
from ftlab.data.generative import GenerativeData
from ftlab.preview.kind_preview import KindPreview
from ftlab.record.parts import _PREDICTS
from ftlab.tasks.base import TaskModule

FOLDER = Path(ftlab.kinds.__file__).parent
MODULES = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))
KINDS = [pytest.param(kind_named(name), id=name) for name in MODULES]


def test_every_module_is_a_kind_of_its_name() -> None:
    assert len(MODULES) >= 9
    assert {kind.name for kind in all_kinds()} >= set(MODULES)


@pytest.mark.parametrize("kind", KINDS)
def test_its_parts_are_there(kind: TaskKind) -> None:
    heads = [kind.head, *([kind.encoder_decoder_head] if kind.encoder_decoder_head else [])]
    for head in heads:
        assert issubclass(load_class(kind, head.module, TaskModule), TaskModule)
    if not kind.mixture:
        assert data_class_of(kind).kind is kind
    if kind.preview:
        assert issubclass(load_class(kind, kind.preview, KindPreview), KindPreview)
    assert all(callable(load_part(kind, path)) for path in (kind.predict, kind.usage) if path)


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_says_of_itself_fits_together(kind: TaskKind) -> None:
    assert kind_named(kind.rates_of).rates_of == kind.rates_of
    assert kind.head.predicts_tokens or not kind.packs
    assert not (kind.packs and kind.masks)
    assert kind.generates == issubclass(load_part(kind, kind.data), GenerativeData)
    assert _PREDICTS.get(kind.name, "other") == kind.predicts
    assert kind.columns or kind.mixture


def test_a_task_keeps_what_its_kind_decides() -> None:
    kind = kind_named("instruction")
    task = Task.of(kind)
    assert (task.name, task.head.auto_class, task.columns) == ("instruction", kind.head.auto_class, kind.columns)
    assert task.for_architecture("decoder") == task
    written = task.for_architecture("encoder-decoder")
    assert (written.head.module, written.decoder_writes) == (kind.encoder_decoder_head.module, True)
    assert written.kind is kind


def test_parts_with_other_heads_cannot_share_a_model() -> None:
    tasks = {name: Task.of(kind_named(name)) for name in ("classification", "text")}
    with pytest.raises(Exception, match="cannot share a model"):
        mixture_task(kind_named("mixture"), tasks)


def test_kinds_import_nothing_heavy() -> None:
    script = (
        "import sys; from ftlab.config.kinds import all_kinds; print(len(all_kinds())); "
        "print(*({'torch', 'transformers', 'lightning', 'peft'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    count, heavy = done.stdout.splitlines()
    assert int(count) == len(MODULES)
    assert heavy == ""


def test_a_kind_of_other_columns_is_another_kind() -> None:
    kind = kind_named("classification")
    assert replace(kind, columns=()) != kind
