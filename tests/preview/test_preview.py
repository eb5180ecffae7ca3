"""`ftlab data` on each kind of data: what is dim has no loss, what is bad is named, what is text stays text."""

import json
import re
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from transformers import AutoTokenizer

from ftlab import models
from ftlab.config.groups import QuantConfig
from ftlab.config.run_config import RunConfig
from ftlab.core.batch import IGNORE_INDEX
from ftlab.core.errors import DataError, UserError
from ftlab.data.encoding.tokens import plain_ids
from ftlab.preview.collect import DatasetPreview, collect_preview
from ftlab.preview.page import CONTROL, WITH_LOSS, WITHOUT_LOSS, length_histogram, print_page, styled_text
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states
from tests.fixtures.tasks import INSTRUCTION
from tests.rows import answered_jsonl, classification_csv, instructions_jsonl, plain_text, words_and_tags


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("preview")


def config(folder: Path, kind: str, dataset: str, file: Path, *overrides: str) -> RunConfig:
    model = folder / kind
    if not model.exists():
        shutil.copytree(tiny(kind), model, ignore=shutil.ignore_patterns("*.safetensors"))  # a preview asks for none
    source = [f"dataset={dataset}", f"dataset.source.train={file}", "model=hf", f"model.name={model}"]
    return composed(*source, "dataset.max_length=128", "budget.max_length=128", "tracker=none", *overrides)


def page(facts: DatasetPreview, *, terminal: bool = False, width: int = 120) -> str:
    out = StringIO()
    print_page(facts, Console(file=out, width=width, force_terminal=terminal, highlight=False))
    return out.getvalue()


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def learned_of(text: Any) -> str:
    """Return what stands there in the style of what is learned."""
    return "".join(text.plain[span.start : span.end] for span in text.spans if WITH_LOSS in str(span.style).split())


def test_instructions_are_dim_exactly_where_they_have_no_loss(folder: Path) -> None:
    facts = collect_preview(config(folder, "llama", "instruction_files", instructions_jsonl(folder / "i.jsonl")), 3)
    states(facts.notes[0], "alpaca", 120)
    assert facts.split_from_train == ("test", "val")
    assert len(facts.examples) == 3
    for example in facts.examples:
        text = styled_text(example.inputs)
        assert learned_of(text) == "The weather is nice today.<|im_end|>"
        styles = [str(span.style).split() for span in text.spans]
        assert all((WITH_LOSS in style) != (WITHOUT_LOSS in style) for style in styles)
        assert any(CONTROL in style for style in styles)
        assert "今天天气很好。" in text.plain
    assert 0 < (facts.lengths.loss_token_share or 0) < 1
    assert "⟦The weather is nice today.<|im_end|>⟧" in page(facts)
    assert "⟦" not in page(facts, terminal=True)


def test_learned_pieces_are_those_of_the_labels(folder: Path) -> None:
    told = config(folder, "gpt2", "instruction_files", instructions_jsonl(folder / "i.jsonl"), "dataset.loss_on=all")
    (example,) = collect_preview(told, 1).examples
    assert all(piece.in_loss for piece in example.inputs)


def test_an_encoder_decoder_reads_and_writes(folder: Path) -> None:
    rows = [{"source": f"a house {n}", "target": f"ein Haus {n}"} for n in range(40)]
    facts = collect_preview(config(folder, "t5", "seq2seq_files", jsonl(folder / "s.jsonl", rows)), 2)
    for example in facts.examples:
        assert not any(piece.in_loss for piece in example.inputs)
        assert all(piece.in_loss for piece in example.targets)
    shown = page(facts)
    assert re.search(r"reads: a house (\d+)\s+</s>\s+writes: ⟦ein Haus \1</s>⟧", shown)


def test_classes_have_an_answer_and_a_balance(folder: Path) -> None:
    facts = collect_preview(config(folder, "bert", "text_files", classification_csv(folder / "c.csv")), 3)
    assert {example.answer for example in facts.examples} <= {"money", "other"}
    assert all(example.where.startswith("c.csv:") for example in facts.examples)
    assert sum(facts.labels["money"].values()) + sum(facts.labels["other"].values()) == 120
    assert not facts.would_stop
    shown = page(facts)
    assert "answer: money" in shown
    assert "[CLS]" in shown


def test_a_class_that_is_a_word_to_write_is_shown_so(folder: Path) -> None:
    file = classification_csv(folder / "c.csv")
    (example,) = collect_preview(config(folder, "gpt2", "text_files", file, "method=zero_shot"), 1).examples
    assert example.answer is not None
    assert example.answer.endswith("(money)")


def test_many_labels_are_the_most_frequent_twenty(folder: Path) -> None:
    rows = [{"text": f"text {n}", "label": f"class {n % 30}"} for n in range(300)]
    shown = page(collect_preview(config(folder, "bert", "text_files", jsonl(folder / "m.jsonl", rows)), 0))
    assert re.search(r"\b20\b.*\b30\b", shown)
    assert shown.count("class ") == 20


def test_labels_and_numbers(folder: Path) -> None:
    file = answered_jsonl(folder / "a.jsonl")
    facts = collect_preview(config(folder, "bert", "multilabel_files", file), 3)
    assert {example.answer for example in facts.examples} <= {"even", "third", "even, third", "(none)"}
    assert sum(facts.labels["even"].values()) == 60
    facts = collect_preview(config(folder, "bert", "regression_files", file, "dataset.columns.target=[score,low]"), 1)
    first, low = facts.targets
    assert first.name == "score"
    assert first.mean == pytest.approx(-low.mean)
    where, answer = facts.examples[0].where, facts.examples[0].answer
    number = int(where.rpartition(":")[2]) - 1  # on its own scale, not as training sees it
    assert answer == f"score {number}, low {-number}"
    assert "deviation" in page(facts)


def test_words_have_their_tags_and_first_tokens_are_bright(folder: Path) -> None:
    facts = collect_preview(config(folder, "bert", "token_files", words_and_tags(folder / "w.conll")), 4)
    for example in facts.examples:
        firsts = [piece for piece in example.inputs if piece.in_loss]
        assert len(firsts) == len(example.tagged_words)
        assert {piece.text for piece in firsts if piece.control} <= {"[UNK]", " [UNK]"}
    assert "London/B-LOC" in page(
        collect_preview(config(folder, "bert", "token_files", folder / "w.conll"), 30), width=500
    )
    assert facts.labels["B-LOC"]["train"] > 0


def test_running_text_is_the_first_of_the_training_stream(folder: Path) -> None:
    told = config(folder, "gpt2", "plain_text_files", plain_text(folder / "p.txt"))
    one, two = collect_preview(told, 2).examples
    assert all(piece.in_loss for piece in one.inputs + two.inputs)
    tokenizer = AutoTokenizer.from_pretrained(tiny("gpt2"))
    again = plain_ids(tokenizer, ["".join(piece.text for piece in one.inputs)])
    assert len(again[0]) >= 100


def test_masked_text_shows_its_masks(folder: Path) -> None:
    told = config(folder, "masked", "plain_text_files", plain_text(folder / "p.txt"), "dataset.task=masked_lm")
    facts = collect_preview(told, 2)
    for example in facts.examples:
        share = np.mean([piece.in_loss for piece in example.inputs])
        assert 0.05 < share < 0.3
    assert any(
        piece.text.strip() == "[MASK]" and piece.in_loss for example in facts.examples for piece in example.inputs
    )


def test_bad_rows_are_named_and_do_not_stop_the_page(folder: Path) -> None:
    file = folder / "bad.jsonl"
    good = [json.dumps({"text": f"film {n}", "label": "pos" if n % 2 else "neg"}) for n in range(40)]
    file.write_text("\n".join([good[0], '{"text": "", "label": "pos"}', *good[1:], "no json"]), encoding="utf-8")
    facts = collect_preview(config(folder, "bert", "text_files", file), 1)
    assert facts.would_stop
    assert sum(facts.dropped.values()) == 2
    shown = page(facts)
    assert "bad.jsonl:2" in shown
    assert "bad.jsonl:42" in shown
    assert "dataset.on_bad_rows" in shown
    facts = collect_preview(config(folder, "bert", "text_files", file, "dataset.on_bad_rows=skip"), 1)
    assert not facts.would_stop
    assert "dataset.on_bad_rows" not in page(facts)


def test_what_rows_say_is_no_markup(folder: Path) -> None:
    rows = [
        {"text": f"[bold]loud[/bold] \u001b[31m[/] {n}", "label": ["[red]a[/red]", "[/b]"][n % 2]} for n in range(40)
    ]
    file = jsonl(folder / "markup[bold].jsonl", rows)
    shown = page(
        collect_preview(config(folder, "gpt2", "text_files", f"'{file}'", "model.name=" + str(tiny("gpt2"))), 2)
    )
    assert "[bold]loud[/bold]" in shown
    assert "answer: [red]a[/red]" in shown
    assert "\x1b" not in shown


def test_rows_that_are_there_twice_are_counted(folder: Path) -> None:
    rows = [{"text": f"text {n % 20}", "label": "ab"[n % 2]} for n in range(60)]
    train, test = jsonl(folder / "twice.jsonl", rows), jsonl(folder / "seen.jsonl", rows[:4])
    facts = collect_preview(config(folder, "bert", "text_files", train, f"dataset.source.test={test}"), 0)
    assert facts.split_from_train == ("val",)
    assert facts.duplicates == facts.rows["train"] - len({*range(20)}) + facts.rows["val"] // 3
    (warning,) = (warning for warning in facts.warnings if " test " in warning)
    states(warning, facts.rows["test"], "training")
    assert warning in page(facts, width=500)


def test_padding_is_that_of_the_batches(folder: Path) -> None:
    rows = [{"text": "the " * (1 + n % 50), "label": "ab"[n % 2]} for n in range(200)]
    file = jsonl(folder / "long.jsonl", rows)
    whole = collect_preview(config(folder, "bert", "text_files", file, "dataset.max_length=16"), 0).lengths
    assert whole.truncated_share == pytest.approx(np.mean([1 + n % 50 + 2 > 16 for n in range(200)]), abs=0.1)
    apart = collect_preview(config(folder, "bert", "text_files", file), 0).lengths.padding_share
    together = collect_preview(
        config(folder, "bert", "text_files", file, "optim.group_by_length=true"), 0
    ).lengths.padding_share
    assert 0 <= together < apart < 1
    assert (whole.max_length_setting, whole.max_length) == ("dataset.max_length", 16)
    assert len(length_histogram(whole).plain.splitlines()) <= 12


def test_padding_is_that_of_the_hardware_of_the_run_which_this_machine_need_not_have(folder: Path) -> None:
    rows = [{"text": "the " * (1 + n % 50), "label": "ab"[n % 2]} for n in range(200)]
    file = jsonl(folder / "gpu.jsonl", rows)

    def padding(*overrides: str) -> float:
        settings = config(folder, "bert", "text_files", file, "optim.batch_size=32", *overrides)
        return collect_preview(settings, 0).lengths.padding_share

    cut, whole = padding("hardware=cpu"), padding("hardware=cpu", "speed.micro_batch_tokens=null")
    assert cut < whole
    assert padding("hardware=gpu") == whole, "a GPU gets whole micro-batches"
    assert cut < padding("hardware=gpu", "hardware.devices=4") < whole, "each of four has a quarter of a step"


def test_what_training_refuses_is_refused(folder: Path) -> None:
    rows = [{"text": f"text {n}", "label": "a"} for n in range(40)]
    with refused(DataError, "one.jsonl:", "'a'"):
        collect_preview(config(folder, "bert", "text_files", jsonl(folder / "one.jsonl", rows)), 1)
    with refused(UserError, "bert", "encoder", "instruction"):
        collect_preview(config(folder, "bert", "instruction_files", instructions_jsonl(folder / "i.jsonl")), 1)


def test_the_tokenizer_is_that_of_training(tmp_path: Path) -> None:
    told = composed("model=hf", f"model.name={tiny('gpt2')}", "dataset=chatterbot").model
    whole = models.load_base_model(told, INSTRUCTION, QuantConfig(name="none")).tokenizer
    task, alone = models.load_task_and_tokenizer(told, INSTRUCTION.for_architecture)
    assert task == INSTRUCTION
    assert (alone.pad_token, alone.padding_side, len(alone)) == (whole.pad_token, whole.padding_side, len(whole))
    assert IGNORE_INDEX not in alone("a")["input_ids"]
