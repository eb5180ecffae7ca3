"""Exports load without ftlab and predict as the run did."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from ftlab.core.errors import Failed, UserError
from ftlab.inference import export as export_module
from ftlab.inference import verify
from ftlab.inference.export import export
from ftlab.inference.finished_run import read_run
from ftlab.inference.predictor import Predictor
from ftlab.methods.peft import PeftMethod
from tests.fixtures.finished_runs import MANY_SETTINGS, OTHER_SETTINGS, TRAINED, finished, quantised
from tests.fixtures.refusals import refused

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")

TEXTS = ["Shares fell as the bank raised its interest rate.", "The team won.", "A new film opened on Friday."]
LORA = ("bert", "text_files", "method=lora", *TRAINED)
DIFFERENCE = r"\d\.\d\de[+-]\d\d"  # of a logit, as it is told
LONGER = ("budget.steps=20",)
FULL = ("bert", "text_files", "experiment=bert_imdb_full", *TRAINED)


def exported(directory: Path, to: Path, *, merge: bool = False, with_base: bool | None = None) -> tuple[str, list[str]]:
    said: list[str] = []
    code = export(read_run(directory), to, merge=merge, with_base=with_base, log=said.append)
    assert not [path for path in to.parent.iterdir() if path != to and path.suffix != ".py"]
    return code, said


@pytest.mark.slow
def test_an_adapter_loads_with_peft_alone_and_predicts_what_the_run_did(tmp_path: Path) -> None:
    """In a process of its own, with the printed code, on the rows that the run was tested on."""
    directory = finished(*LORA)
    code, said = exported(directory, tmp_path / "out", with_base=True)
    assert "0.00e+00" in said[-1]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "base",
        "ftlab.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    script = tmp_path / "load.py"
    rest = [f"texts = {TEXTS!r}", "import sys", "assert 'ftlab' not in sys.modules"]
    rest += ["inputs = tokenizer(texts, padding=True, truncation=True, max_length=64, return_tensors='pt')"]
    rest += ["print('scores', *model(**inputs).logits.softmax(-1)[:, 0].tolist())"]
    script.write_text("\n".join([code, *rest]), encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, check=True)
    label, scores = done.stdout.strip().splitlines()
    assert label in {"money", "other"}
    predictions = Predictor(directory).predict(TEXTS)
    assert [float(score) for score in scores.split()[1:]] == pytest.approx(
        [prediction.scores["money"] for prediction in predictions], abs=1e-6
    )


def slow(*case: object) -> object:
    """Return a case of another model or method whose parts are each in a quick one."""
    return pytest.param(*case, marks=pytest.mark.slow)


def learned(method: str, *more: str) -> tuple[str, ...]:
    return (f"method={method}", *TRAINED, *more)


@pytest.mark.parametrize(
    ("kind", "dataset", "settings", "merge"),
    [
        ("bert", "text_files", learned("lora"), True),
        ("gpt2", "text_files", learned("lora"), True),  # whose layers are transposed
        ("t5", "text_files", OTHER_SETTINGS, True),  # LoRA
        ("bert", "text_files", FULL[2:], False),
        ("bert", "text_files", MANY_SETTINGS, False),  # an adapter, trained in bf16
        ("llama", "text_files", learned("prefix"), False),
        ("gpt2", "plain_text_files", ("experiment=gpt2_wikitext_adapter", *TRAINED), False),
        ("gpt2", "plain_text_files", ("experiment=gpt2_wikitext_prefix", *TRAINED), False),
        ("t5", "instruction_files", learned("full"), False),
        ("gpt2", "token_files", learned("prompt"), False),
        ("t5", "token_files", learned("lora", *LONGER), True),
        slow("t5", "instruction_files", learned("lora"), True),
        slow("llama", "token_files", learned("full"), False),
        slow("bert", "token_files", learned("p_tuning_v2"), False),
        slow("t5", "instruction_files", learned("lora"), False),
        slow("gpt2", "text_files", learned("full"), False),
        slow("llama", "instruction_files", learned("full"), False),
        slow("t5", "text_files", learned("full"), False),
        slow("gpt2", "instruction_files", learned("head"), False),
        slow("bert", "text_files", learned("partial", "method.layers=1"), False),
        slow("llama", "text_files", learned("prompt_head"), False),
        slow("gpt2", "regression_files", learned("full"), False),
    ],
)
def test_plain_libraries_give_the_logits_of_the_run(
    kind: str, dataset: str, settings: tuple[str, ...], merge: bool, tmp_path: Path
) -> None:
    directory = finished(kind, dataset, *settings)
    code, said = exported(directory, tmp_path / "out", merge=merge, with_base=None)
    run = read_run(directory)
    base = run.load_base()
    model = run.restore_model(base)
    texts = verify.probe_batches(run, AutoTokenizer.from_pretrained(tmp_path / "out"), base.model)
    expected = verify.trained_logits(run, model, texts)
    spaces: dict[str, Any] = {}
    exec(code.partition("\ninputs = ")[0], spaces)
    found = verify.plain_logits(spaces["model"], texts)
    error = verify.max_logit_difference(found, expected)
    assert error < 1e-4
    assert f"{error:.2e}" in said[-1]
    assert isinstance(spaces["model"], PeftModel) == (isinstance(run.method, PeftMethod) and not merge)
    # Transformers itself switches it off in T5's encoder, which is what tags words
    assert spaces["model"].config.use_cache is ((kind, dataset) != ("t5", "token_files"))
    if (kind, dataset) == ("gpt2", "text_files"):
        assert spaces["model"].config.id2label == {0: "money", 1: "other"}
        assert spaces["model"].config.pad_token_id is not None


@pytest.mark.parametrize(
    ("dataset", "settings"),
    [
        ("multilabel_files", learned("lora")),
        ("regression_files", learned("full", "dataset.columns.target=[score,low]")),
        slow("regression_files", learned("lora")),
    ],
)
def test_the_printed_code_answers_as_the_run_does(
    dataset: str, settings: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = finished("bert", dataset, *settings)
    code, _ = exported(directory, tmp_path / "out")
    exec(code, {})
    printed = ast.literal_eval(capsys.readouterr().out.strip().splitlines()[-1])
    (answer,) = Predictor(directory).predict(["some text"])
    prediction = answer.prediction
    if dataset == "multilabel_files":
        assert printed == prediction
    else:
        numbers = list(prediction.values()) if isinstance(prediction, dict) else [prediction]
        assert printed == pytest.approx(numbers, rel=1e-4, abs=1e-3)


def test_the_whole_folder_names_no_path_of_this_machine(tmp_path: Path) -> None:
    directory = finished(*LORA)
    exported(directory, tmp_path / "adapter" / "out", with_base=True)
    exported(directory, tmp_path / "model" / "out", merge=True)
    files = [path for path in tmp_path.rglob("*.json")]
    assert len(files) > 5
    for path in files:
        assert str(directory.parent) not in path.read_text(encoding="utf-8"), path


def test_an_adapter_without_its_base_says_how_to_read_it(tmp_path: Path) -> None:
    directory = finished("gpt2", "text_files", *learned("lora"))
    code, _ = exported(directory, tmp_path / "out", with_base=False)
    assert not (tmp_path / "out" / "base").exists()
    spaces: dict[str, Any] = {}
    exec(code, spaces)
    assert spaces["model"].config.id2label == {0: "money", 1: "other"}


def test_t5_keeps_an_output_layer_of_its_own(tmp_path: Path) -> None:
    """Transformers believes that every T5 has tied it to the embeddings."""
    directory = finished("t5", "instruction_files", *learned("full"))
    run = read_run(directory)
    weights = load_file(run.adapter_dir / "trainable.safetensors")
    base = run.load_base()
    base.model.lm_head.weight = torch.nn.Parameter(torch.randn_like(base.model.lm_head.weight))
    export_module._save_model(base.model, tmp_path / "out")
    loaded = export_module._load_with_transformers(run, tmp_path / "out")
    assert weights
    assert torch.equal(loaded.lm_head.weight, base.model.lm_head.weight)
    assert not torch.equal(loaded.lm_head.weight, loaded.shared.weight)


@pytest.mark.parametrize(
    ("kind", "quant"), [("llama", "nf4"), ("gpt2", "int8"), slow("llama", "int8"), slow("gpt2", "nf4")]
)
def test_merging_into_a_quantised_base_dequantises_what_it_was_trained_on(
    kind: str, quant: str, tmp_path: Path
) -> None:
    _, said = exported(quantised(kind, quant), tmp_path / "out", merge=True)
    assert any(quant in line and "float32" in line for line in said)  # the warning that it is dequantised
    (error,) = (float(found[0]) for line in said if quant in line and (found := re.search(DIFFERENCE, line)))
    assert error < (1e-4 if quant == "nf4" else 0.5)  # int8 rounds activations too
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert not getattr(model, "is_quantized", False)


def test_a_quantised_adapter_loads_on_a_quantised_base(tmp_path: Path) -> None:
    code, said = exported(quantised("llama", "nf4"), tmp_path / "out", with_base=True)
    assert "BitsAndBytesConfig(" in code
    assert "0.00e+00" in said[-1]
    exec(code.partition("\ninputs = ")[0], {})


@pytest.mark.parametrize(
    ("settings", "merge", "culprits"),
    [
        (("llama", "text_files", *learned("prefix")), True, ("Prefix", "--merge")),
        (("bert", "text_files", *MANY_SETTINGS), True, ("Adapter", "--merge")),
        (FULL, None, ("--base",)),
        (("bert", "text_files", "method=majority"), False, ("method=majority",)),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_left(
    settings: tuple[str, ...], merge: bool | None, culprits: tuple[str, ...], tmp_path: Path
) -> None:
    directory = finished(*settings)
    with refused(UserError, *culprits):
        export(read_run(directory), tmp_path / "out", merge=bool(merge), with_base=merge is None, log=str)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with refused(UserError, tmp_path):
        exported(finished(*LORA), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    exported(finished(*LORA), tmp_path / "out", with_base=False)
    assert (tmp_path / "out" / "adapter_config.json").is_file()


def test_what_answers_differently_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = finished(*FULL)
    save = export_module._save_model

    def lose_a_tensor(model: transformers.PreTrainedModel, folder: Path) -> None:
        save(model, folder)
        tensors = load_file(folder / "model.safetensors")
        del tensors["classifier.weight"]
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    monkeypatch.setattr(export_module, "_save_model", lose_a_tensor)
    with pytest.raises(Failed, match=DIFFERENCE):  # by how much a logit differs, and what rounding explains
        export(read_run(directory), tmp_path / "out", merge=False, with_base=None, log=str)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_commands(tmp_path: Path) -> None:
    """As processes: what answers or loads is on stdout, and no library's warning comes with it."""
    directory = str(finished(*LORA))
    done = ftlab("export", directory, "--to", str(tmp_path / "out"), "--merge")
    assert done.stdout.startswith("from transformers import")
    assert re.search(DIFFERENCE, done.stderr)
    assert "Warning" not in done.stderr
    file = tmp_path / "texts.csv"
    file.write_text("text\nThe team won.\nShares fell.\n", encoding="utf-8")
    done = ftlab("predict", directory, "--file", str(file))
    answers = [json.loads(line)["prediction"] for line in done.stdout.splitlines()]
    assert len(answers) == 2
    assert set(answers) <= {"money", "other"}
    assert done.stderr == ""


def ftlab(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-m", "ftlab", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done
