"""The text around the gap: what the model reads, wherever its kind has the gap, and which tokens may stand there."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from ftlab.config.task import Cloze, Task
from ftlab.core.errors import DataError, UserError
from ftlab.data.base import DataModule
from ftlab.data.prompting.cloze import verbalizer_token_ids
from tests.data.making import budget, build, dataset, jsonl, reviews
from tests.fixtures.checkpoints import tiny
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states
from tests.fixtures.tasks import CLASSIFICATION
from tests.tiny import TEXT

Tokenizers = dict[str, PreTrainedTokenizerBase]

HEADS = {"decoder": "AutoModelForCausalLM", "encoder": "AutoModelForMaskedLM", "both": "AutoModelForSeq2SeqLM"}


def task_for_model(
    kind: str, words: tuple[str, ...], template: str = "{text}\nTopic: {mask}.", *, shots: int = 0, tokens: int = 16
) -> Task:
    """Return classification as a method would pose it."""
    cloze = Cloze(template=template, words=words)
    task = replace(CLASSIFICATION, labels=words, head=replace(CLASSIFICATION.head, auto_class=HEADS[kind]), cloze=cloze)
    return replace(task, shots=shots, shot_tokens=tokens)


def module(folder: Path, rows: list[dict[str, Any]] | None = None, **settings: Any) -> DataModule:
    source = {"train": jsonl(folder / "rows.jsonl", rows or reviews(40))}
    return build(dataset("classification", source), **settings)


def read(data: DataModule, tokenizer: PreTrainedTokenizerBase, split: str = "test") -> list[str]:
    return [str(tokenizer.decode(example.input_ids)) for example in data.tokenized_split(split).examples]


def metaspace() -> PreTrainedTokenizerFast:
    """A tokenizer that marks the first word of everything it reads, and begins every text, as Llama 2's does."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.train_from_iterator(
        [f"x{line}" for line in TEXT.splitlines()],
        trainers.BpeTrainer(special_tokens=["<unk>", "<s>"], show_progress=False),
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", unk_token="<unk>", pad_token="<s>")


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_decoder_reads_up_to_the_gap(kind: str, tmp_path: Path, tokenizers: Tokenizers) -> None:
    data = module(tmp_path)
    data.tokenize(tokenizers[kind], task=task_for_model("decoder", ("bad", "good")))
    texts = [row.values["text"] for row in data.splits["test"]]
    assert read(data, tokenizers[kind]) == [f"{text}\nTopic:" for text in texts]
    assert [data.labels[example.labels] for example in data.tokenized_split("test").examples] == [
        row.values["label"] for row in data.splits["test"]
    ]


def test_an_encoder_has_one_gap_whatever_the_text_says(tmp_path: Path, tokenizers: Tokenizers) -> None:
    tokenizer = tokenizers["bert"]
    rows = [{"text": f"a [MASK] film [SEP] {n}", "label": "ba"[n % 2]} for n in range(40)]
    data = module(tmp_path, rows)
    data.tokenize(tokenizer, task=task_for_model("encoder", ("a", "b")))
    examples = data.tokenized_split("train").examples
    assert examples
    for example in examples:
        ids = example.input_ids.tolist()
        assert ids.count(tokenizer.mask_token_id) == 1
        assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
        assert ids.count(tokenizer.sep_token_id) == 1
    assert read(data, tokenizer)[0].endswith("topic : [MASK]. [SEP]")


def test_an_encoder_decoder_reads_up_to_the_gap_and_writes_first(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny("t5"))
    data = module(tmp_path)
    data.tokenize(tokenizer, task=task_for_model("both", ("bad", "good")), decoder_start=0)
    assert all(text.endswith("\nTopic:</s>") and text.count("</s>") == 1 for text in read(data, tokenizer))
    batch = next(iter(data.test_dataloader()))
    assert batch["decoder_input_ids"].tolist() == [[0]] * len(batch["index"])


@pytest.mark.parametrize(("model", "kind"), [("gpt2", "decoder"), ("bert", "encoder")])
def test_the_text_is_cut_and_never_the_template(model: str, kind: str, tmp_path: Path, tokenizers: Tokenizers) -> None:
    tokenizer = tokenizers[model]
    rows = [{"text": f"{n} the film " * (60 if n % 2 else 1), "label": "ba"[n // 2 % 2]} for n in range(40)]
    data = module(tmp_path, rows, max_length=24)
    data.tokenize(tokenizer, task=task_for_model(kind, ("a", "b")))
    lengths = {len(example.input_ids) for example in data.tokenized_split("train").examples}
    assert max(lengths) == 24
    assert data.truncated_share == pytest.approx(0.5, abs=0.2)
    assert all(":" in text[-20:] for text in read(data, tokenizer, "train"))
    with refused(DataError, "method.template", "24", "dataset.max_length", "budget.max_length"):
        data.tokenize(tokenizer, task=task_for_model(kind, ("a", "b"), "a b c d e f g h " * 9 + "{text} {mask}"))


def test_pairs(tmp_path: Path, tokenizers: Tokenizers) -> None:
    tokenizer = tokenizers["gpt2"]
    rows = [{"text": f"question {n}", "other": "the answer " * 30, "label": "ba"[n % 2]} for n in range(20)]
    columns = {"text": "text", "text_pair": "other", "label": "label"}
    source = {"train": jsonl(tmp_path / "a.jsonl", rows)}
    data = build(dataset("classification", source, columns=columns), max_length=40)
    data.tokenize(tokenizer, task=task_for_model("decoder", ("a", "b")))
    first, second, last = read(data, tokenizer)[0].split("\n")
    assert first == data.splits["test"][0].values["text"]  # the longer one was cut
    assert second.startswith("the answer")
    assert last == "Topic:"
    data.tokenize(tokenizer, task=task_for_model("decoder", ("a", "b"), "{text_pair} | {text} | {mask}"))
    assert read(data, tokenizer)[0].startswith("the answer")
    alone = module(tmp_path)
    with refused(DataError, "method.template", "{text_pair}", "dataset.columns.text_pair"):
        alone.tokenize(tokenizer, task=task_for_model("decoder", ("bad", "good"), "{text_pair} | {text} | {mask}"))


def test_a_tokenizer_that_begins_every_text_does_so_once(tmp_path: Path) -> None:
    tokenizer = metaspace()
    data = module(tmp_path)
    data.tokenize(tokenizer, task=task_for_model("decoder", ("bad", "good"), shots=2, tokens=64))
    examples = data.tokenized_split("test").examples
    assert examples
    assert all((example.input_ids == 1).nonzero()[0].tolist() == [0] for example in examples)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize(
    ("template", "words"), [("{text}\nTopic: {mask}", ("sport", "tech")), ("{text}主题：{mask}", ("体", "财"))]
)
def test_a_word_is_known_by_its_first_token_in_place(
    kind: str, template: str, words: tuple[str, ...], tokenizers: Tokenizers
) -> None:
    tokenizer = tokenizers[kind]
    fixed = template.removeprefix("{text}").removesuffix("{mask}")
    for word, token in zip(
        words, verbalizer_token_ids(tokenizer, task_for_model("decoder", words, template)), strict=True
    ):
        whole = tokenizer(fixed + word)["input_ids"]
        assert token == whole[len(tokenizer(fixed.rstrip())["input_ids"])]


def test_a_tokenizer_that_marks_what_comes_first_gets_words_as_they_go_on() -> None:
    tokenizer = metaspace()
    names = tokenizer.convert_ids_to_tokens(
        verbalizer_token_ids(tokenizer, task_for_model("decoder", ("market", "bank")))
    )
    assert all(name.startswith("▁") and len(name) > 1 for name in names)
    names = tokenizer.convert_ids_to_tokens(
        verbalizer_token_ids(tokenizer, task_for_model("decoder", ("market", "bank"), "{text}x{mask}"))
    )
    assert not any(name.startswith("▁") for name in names)


@pytest.mark.parametrize("words", [("science", "sciences"), ("体育", "体操")])
def test_words_that_begin_alike_are_refused(words: tuple[str, ...], tokenizers: Tokenizers) -> None:
    with refused(UserError, f"'{words[0]}'", f"'{words[1]}'", "method.words"):
        verbalizer_token_ids(tokenizers["llama"], task_for_model("decoder", words))


def test_a_word_that_the_tokenizer_does_not_know_is_refused(tokenizers: Tokenizers) -> None:
    with refused(UserError, "'ᚠᚢ'", "method.words"):
        verbalizer_token_ids(tokenizers["bert"], task_for_model("encoder", ("good", "ᚠᚢ")))


def test_an_encoder_without_a_mask_token_is_refused(tmp_path: Path, tokenizers: Tokenizers) -> None:
    with refused(UserError, "tokenizer", "mask token"):
        module(tmp_path).tokenize(tokenizers["gpt2"], task=task_for_model("encoder", ("bad", "good")))


def test_numbers_as_words_are_warned_of(tmp_path: Path, tokenizers: Tokenizers) -> None:
    data = module(tmp_path, reviews(40, labels=("0", "1")))
    data.tokenize(tokenizers["gpt2"], task=task_for_model("decoder", ("0", "1")))
    (warning,) = data.warnings
    states(warning, "method.words")
    data.warnings.clear()
    named = replace(task_for_model("decoder", ("bad", "good")), labels=("0", "1"))
    data.tokenize(tokenizers["gpt2"], task=named)
    assert data.warnings == []


def test_demonstrations_stand_ahead_of_every_question(tmp_path: Path, tokenizers: Tokenizers) -> None:
    tokenizer = tokenizers["gpt2"]
    data = module(tmp_path, reviews(60, labels=("bad", "fair", "good")))
    data.tokenize(tokenizer, task=task_for_model("decoder", ("bad", "fair", "good"), shots=3, tokens=64))
    shown = "".join(f"{row['text']}\nTopic: {row['label']}.\n\n" for row in data.demonstrations)
    texts = [row.values["text"] for row in data.splits["test"]]
    assert read(data, tokenizer) == [f"{shown}{text}\nTopic:" for text in texts]


def test_demonstrations_are_cut_like_texts(tmp_path: Path, tokenizers: Tokenizers) -> None:
    rows = [{"text": f"{n} the film " * 30, "label": "ba"[n % 2]} for n in range(40)]
    data = module(tmp_path, rows, max_length=24)
    data.tokenize(tokenizers["gpt2"], task=task_for_model("decoder", ("a", "b"), shots=4, tokens=20))
    assert {len(example.input_ids) for example in data.tokenized_split("test").examples} == {24 + 4 * 20}


def test_an_encoder_sees_demonstrations_without_a_gap(tmp_path: Path, tokenizers: Tokenizers) -> None:
    tokenizer = tokenizers["bert"]
    data = module(tmp_path)
    data.tokenize(tokenizer, task=task_for_model("encoder", ("bad", "good"), shots=2, tokens=64))
    text = read(data, tokenizer)[0]
    assert text.count("[MASK]") == 1
    assert text.startswith("[CLS] review number")
    assert text.count("topic : ") == 3


def test_more_than_the_model_reads_is_refused(tmp_path: Path, tokenizers: Tokenizers) -> None:
    with refused(DataError, "tiny", "256", "9", "30", "method.shots", "method.shot_tokens"):
        module(tmp_path).tokenize(
            tokenizers["gpt2"], model="tiny", task=task_for_model("decoder", ("bad", "good"), shots=9, tokens=30)
        )


def test_more_than_there_are_is_refused(tmp_path: Path, tokenizers: Tokenizers) -> None:
    data = module(tmp_path, budget=budget(train_rows=3))
    with refused(DataError, "3 of 3 ", "method.shots=4", "method.shot_tokens"):
        data.tokenize(tokenizers["gpt2"], task=task_for_model("decoder", ("bad", "good"), shots=4))


def test_label_shares_count_every_class_once_more(tmp_path: Path) -> None:
    rows = reviews(30, labels=("good", "good", "bad"))
    files = {split: jsonl(tmp_path / f"{split}.jsonl", rows) for split in ("train", "val", "test")}
    task = build(dataset("classification", files)).task
    assert task.label_shares == pytest.approx((11 / 32, 21 / 32))
