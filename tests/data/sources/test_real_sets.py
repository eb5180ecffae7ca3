"""Real data sets of other people, read as one would type it; skipped where they are missing."""

import re

import pytest

from ftlab.core.errors import DataError
from ftlab.data.rows.detect import detect_columns
from ftlab.data.rows.mapping import BadRowHandler, map_rows
from ftlab.data.rows.row import Row
from ftlab.data.sources.source import read_source
from tests.data.making import shared
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states

# Overrides, with @ ahead of what lies in the folder of data, and the rows of train, val and test.
LABELLED = "dataset=text_files dataset.source.format=labelled"
SETS: dict[str, tuple[str, tuple[int, ...]]] = {
    "banking77": (
        "dataset=text_files dataset.source.train=@banking77/train.csv dataset.source.test=@banking77/test.csv",
        (10003, 0, 3080),
    ),
    "clinc150": (
        "dataset=text_files dataset.source.train=@clinc150/data_small.json dataset.source.names=[text,label] "
        "dataset.source.fields={train:train,val:val,test:test}",
        (7500, 3000, 4500),
    ),
    "sms_spam": (
        "dataset=text_files dataset.source.train=@sms_spam/sms.tsv dataset.source.names=[label,text]",
        (5574, 0, 0),
    ),
    "waimai_zh": ("dataset=text_files dataset.source.train=@waimai_zh/waimai_10k.csv", (11987, 0, 0)),
    "sst2": (
        f"{LABELLED} dataset.source.train=@sst2/stsa.binary.train dataset.source.val=@sst2/stsa.binary.dev "
        "dataset.source.test=@sst2/stsa.binary.test",
        (6920, 872, 1821),
    ),
    "trec": (
        f"{LABELLED} dataset.source.train=@trec/TREC.train dataset.source.test=@trec/TREC.test "
        'dataset.source.encoding=latin-1 dataset.source.separator=": " dataset.source.names=[label,detail,text]',
        (5452, 0, 500),
    ),
    "stsb_en": (
        "dataset=text_files dataset.source.train=@stsb_en/stsb-en-train.csv "
        "dataset.source.val=@stsb_en/stsb-en-dev.csv dataset.source.test=@stsb_en/stsb-en-test.csv "
        "dataset.source.names=[sentence1,sentence2,score]",
        (5749, 1500, 1379),
    ),
    "stsb_zh": (
        "dataset=text_files dataset.source.train=@stsb_zh/stsb-zh-train.csv "
        "dataset.source.val=@stsb_zh/stsb-zh-dev.csv dataset.source.test=@stsb_zh/stsb-zh-test.csv "
        "dataset.source.names=[sentence1,sentence2,score]",
        (5749, 1500, 1379),
    ),
    "emobank": (
        "dataset=text_files dataset.source.train=@emobank/emobank.csv dataset.source.split_column=split "
        "dataset.columns.text=text dataset.columns.label=V",
        (8062, 1000, 1000),
    ),
    "alpaca_en": ("dataset=instruction_files dataset.source.train=@alpaca/alpaca_en_demo.json", (999, 0, 0)),
    "alpaca_zh": ("dataset=instruction_files dataset.source.train=@alpaca/alpaca_zh_demo.json", (1000, 0, 0)),
    "self_instruct": (
        "dataset=instruction_files dataset.source.train=@self_instruct/seed_tasks.jsonl "
        "dataset.columns.prompt=instruction dataset.columns.input=instances.0.input "
        "dataset.columns.response=instances.0.output",
        (175, 0, 0),
    ),
    "gsm8k": ("dataset=instruction_files dataset.source.train=@gsm8k/test.jsonl", (1319, 0, 0)),
    "scitldr": (
        "dataset=instruction_files dataset.source.train=@scitldr/dev.jsonl dataset.source.test=@scitldr/test.jsonl "
        "dataset.columns.prompt=source dataset.columns.response=target.0",
        (619, 0, 618),
    ),
    "multi30k": (
        "dataset=instruction_files "
        "dataset.source.train={source:@multi30k_en_de/train.en.gz,target:@multi30k_en_de/train.de.gz} "
        "dataset.source.val={source:@multi30k_en_de/val.en.gz,target:@multi30k_en_de/val.de.gz} "
        "dataset.source.test={source:@multi30k_en_de/test_2016_flickr.en.gz,target:@multi30k_en_de/test_2016_flickr.de.gz}",
        (29000, 1014, 1000),
    ),
    "tinyshakespeare": ("dataset=plain_text_files dataset.source.train=@tinyshakespeare/input.txt", (7222, 0, 0)),
}


def _read(overrides: str) -> tuple[dict[str, list[Row]], list[str], BadRowHandler]:
    """Return the rows of each split, what was detected, and what became of bad rows."""
    typed = re.sub(r"@([\w./-]+)", lambda match: shared(match[1]), overrides)
    config = composed(*re.findall(r'(?:"[^"]*"|\S)+', typed)).dataset
    roles, bad = config.kind.roles, BadRowHandler(config.on_bad_rows)
    splits = read_source(config.source)
    found, splits["train"] = detect_columns(splits["train"], config.columns, roles, config.shape)
    rows = {split: list(map_rows(rows, found.columns, roles, bad)) for split, rows in splits.items()}
    return rows, found.notes(sum(map(len, rows.values()))), bad


DETECTED: dict[str, tuple[object, ...]] = {
    "alpaca_en": ("alpaca", 999, "prompt: instruction, response: output, input: input"),
    "gsm8k": ("question/answer", 1319, "prompt: question, response: answer"),
    "banking77": ("text/label", 13083, "text: text, label: category"),
    "multi30k": ("source/target", 31014, "prompt: source, response: target"),
    "stsb_zh": ("pair/label", 8628, "text: sentence1, label: score, text_pair: sentence2"),
}
CLASSES = {"trec": 6, "clinc150": 150}  # as the papers have them


def test_every_expectation_is_of_a_set() -> None:
    assert DETECTED.keys() | CLASSES.keys() <= SETS.keys()


@pytest.mark.parametrize("name", SETS)
def test_rows_are_all_there_in_their_shape_and_classes(name: str) -> None:
    overrides, counts = SETS[name]
    rows, lines, bad = _read(overrides)
    assert tuple(len(rows.get(split, [])) for split in ("train", "val", "test")) == counts
    assert not bad.dropped
    if name in DETECTED:
        (line,) = lines
        states(line, *DETECTED[name])
    if name in CLASSES:
        classes = {row.values["label"] for row in rows["train"]}
        assert len(classes) == CLASSES[name]
        assert name != "trec" or classes == {"ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"}


def test_several_files_and_several_labels() -> None:
    files = ",".join(f"@nlupp_multilabel/fold{number}.json" for number in range(20))
    overrides = f"dataset=text_files dataset.source.train=[{files}] dataset.columns.text=text "
    assert len(_read(f"{overrides} dataset.columns.label=text")[0]["train"]) == 2071
    with refused(DataError, "fold0.json:2, item 1", "'intents'", "list", "text"):
        _read(f"{overrides} dataset.columns.label=intents")


def test_a_file_that_needs_a_setting_says_which() -> None:
    with refused(DataError, "TREC.train", "dataset.source.format"):
        _read("dataset=text_files dataset.source.train=@trec/TREC.train")
    with refused(DataError, "oos_val, val, train, ", "dataset.source.fields"):
        _read("dataset=text_files dataset.source.train=@clinc150/data_small.json")
    with refused(DataError, "dpo_en_demo.json", "(chosen, rejected)"):
        _read("dataset=instruction_files dataset.source.train=@preference/dpo_en_demo.json")
    with refused(DataError, "kto_en_demo.json", "(label)"):
        _read("dataset=instruction_files dataset.source.train=@preference/kto_en_demo.json")
