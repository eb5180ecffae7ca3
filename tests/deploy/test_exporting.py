"""What is exported loads without ftlab and answers as the run did."""

import ast
import os
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
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from ftlab.deploy import exporting, probes
from ftlab.deploy.exporting import export
from ftlab.deploy.finished import read_run
from ftlab.deploy.predicting import predict
from ftlab.deploy.questions import from_texts
from ftlab.errors import Failed, UserError
from ftlab.methods.peft import PeftMethod
from tests.deploy.runs import finished

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")

TEXTS = ["Shares fell as the bank raised its interest rate.", "The team won.", "A new film opened on Friday."]
TRAINED = ("optim.lr=0.01",)  # so that what was trained shows in the logits


def exported(directory: Path, to: Path, *, merge: bool = False, with_base: bool | None = None) -> tuple[str, list[str]]:
    said: list[str] = []
    code = export(read_run(directory), to, merge=merge, with_base=with_base, say=said.append)
    assert not [path for path in to.parent.iterdir() if path != to and path.suffix != ".py"]
    return code, said


def test_an_adapter_loads_with_peft_alone_and_predicts_what_the_run_did(tmp_path: Path) -> None:
    """In a process of its own, with the printed code, on the rows that the run was tested on."""
    directory = finished("bert", "text_files", "method=lora", *TRAINED)
    code, said = exported(directory, tmp_path / "out", with_base=True)
    assert said[-1].startswith("written and loaded again: no logit differs by more than 0.00e+00")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "base",
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
    run = read_run(directory)
    found = predict(run, run.base(), from_texts(TEXTS, run.config.dataset), max_new_tokens=1, advance=lambda _: None)
    assert [float(score) for score in scores.split()[1:]] == pytest.approx(
        [answer["scores"]["money"] for answer in found], abs=1e-6
    )


@pytest.mark.parametrize(
    ("kind", "dataset", "method", "merge"),
    [
        ("bert", "text_files", "lora", True),
        ("gpt2", "text_files", "lora", True),
        ("t5", "text_files", "lora", True),
        ("bert", "token_files", "lora", True),
        ("gpt2", "token_files", "prompt", False),
        ("llama", "token_files", "full", False),
        ("bert", "token_files", "p_tuning_v2", False),
        ("t5", "token_files", "full", False),
        ("llama", "instruction_files", "lora", True),
        ("t5", "instruction_files", "lora", True),
        ("gpt2", "instruction_files", "prefix", False),
        ("llama", "text_files", "prefix", False),
        ("t5", "instruction_files", "lora", False),
        ("bert", "text_files", "full", False),
        ("gpt2", "text_files", "full", False),
        ("llama", "instruction_files", "full", False),
        ("t5", "instruction_files", "full", False),
        ("t5", "text_files", "full", False),
        ("gpt2", "instruction_files", "head", False),
        ("bert", "text_files", "partial", False),
        ("bert", "text_files", "adapter", False),
        ("llama", "instruction_files", "adapter", False),
        ("llama", "text_files", "prompt_head", False),
        pytest.param("bert", "multilabel_files", "lora", False, marks=pytest.mark.slow),
        pytest.param("gpt2", "regression_files", "full", False, marks=pytest.mark.slow),
    ],
)
def test_plain_libraries_give_the_logits_of_the_run(
    kind: str, dataset: str, method: str, merge: bool, tmp_path: Path
) -> None:
    given = ["method.layers=1"] if method == "partial" else []
    directory = finished(kind, dataset, f"method={method}", *TRAINED, *given)
    code, said = exported(directory, tmp_path / "out", merge=merge, with_base=None)
    run = read_run(directory)
    base = run.base()
    model = run.restored(base)
    texts = probes.batches(run, AutoTokenizer.from_pretrained(tmp_path / "out"), base.model)
    expected = probes.trained_logits(run, model, texts)
    spaces: dict[str, Any] = {}
    exec(code.partition("\ninputs = ")[0], spaces)
    found = probes.plain_logits(spaces["model"], texts)
    error = probes.difference(found, expected)
    assert error < 1e-4
    assert said[-1].endswith(f"no logit differs by more than {error:.2e}")
    assert isinstance(spaces["model"], PeftModel) == (isinstance(run.method, PeftMethod) and not merge)
    # Transformers itself switches it off in T5's encoder, which is what tags words
    assert spaces["model"].config.use_cache is ((kind, dataset) != ("t5", "token_files"))


@pytest.mark.parametrize(
    ("dataset", "given"),
    [
        ("multilabel_files", ()),
        pytest.param("regression_files", (), marks=pytest.mark.slow),
        ("regression_files", ("dataset.columns.target=[score,low]",)),
    ],
)
def test_the_printed_code_answers_as_the_run_does(
    dataset: str, given: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = finished("bert", dataset, "method=full", *TRAINED, *given)
    code, _ = exported(directory, tmp_path / "out")
    exec(code, {})
    printed = ast.literal_eval(capsys.readouterr().out.strip().splitlines()[-1])
    run = read_run(directory)
    (answer,) = predict(
        run, run.base(), from_texts(["some text"], run.config.dataset), max_new_tokens=1, advance=lambda _: None
    )
    prediction = answer["prediction"]
    if dataset == "multilabel_files":
        assert printed == prediction
    else:
        numbers = list(prediction.values()) if isinstance(prediction, dict) else [prediction]
        assert printed == pytest.approx(numbers, rel=1e-4, abs=1e-3)


def test_the_whole_folder_names_no_path_of_this_machine(tmp_path: Path) -> None:
    directory = finished("bert", "text_files", "method=lora", *TRAINED)
    exported(directory, tmp_path / "adapter" / "out", with_base=True)
    exported(directory, tmp_path / "model" / "out", merge=True)
    files = [path for path in tmp_path.rglob("*.json")]
    assert len(files) > 5
    for path in files:
        assert str(directory.parent) not in path.read_text(encoding="utf-8"), path


def test_labels_and_the_padding_token_are_in_a_whole_model(tmp_path: Path) -> None:
    exported(finished("gpt2", "text_files", "method=full", *TRAINED), tmp_path / "out")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert model.config.id2label == {0: "money", 1: "other"}
    assert model.config.pad_token_id is not None


def test_an_adapter_without_its_base_says_how_to_read_it(tmp_path: Path) -> None:
    directory = finished("gpt2", "text_files", "method=lora", *TRAINED)
    code, _ = exported(directory, tmp_path / "out", with_base=False)
    assert not (tmp_path / "out" / "base").exists()
    spaces: dict[str, Any] = {}
    exec(code, spaces)
    assert spaces["model"].config.id2label == {0: "money", 1: "other"}


def test_t5_keeps_an_output_layer_of_its_own(tmp_path: Path) -> None:
    """Transformers believes that every T5 has tied it to the embeddings."""
    directory = finished("t5", "instruction_files", "method=full", *TRAINED)
    run = read_run(directory)
    weights = load_file(run.adapter / "trainable.safetensors")
    base = run.base()
    base.model.lm_head.weight = torch.nn.Parameter(torch.randn_like(base.model.lm_head.weight))
    exporting._save_model(base.model, tmp_path / "out")
    loaded = exporting._plain(run, tmp_path / "out")
    assert weights
    assert torch.equal(loaded.lm_head.weight, base.model.lm_head.weight)
    assert not torch.equal(loaded.lm_head.weight, loaded.shared.weight)


@pytest.mark.parametrize("quant", ["nf4", "int8"])
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_merging_into_a_quantised_base_dequantises_what_it_was_trained_on(
    kind: str, quant: str, tmp_path: Path
) -> None:
    directory = finished(kind, "instruction_files", "method=lora", f"quant={quant}", *TRAINED)
    _, said = exported(directory, tmp_path / "out", merge=True)
    assert any(line.startswith(f"warning: the run's base is {quant}") for line in said)
    (line,) = [line for line in said if line.startswith(f"dequantised against {quant}")]
    found = re.search(r"up to (\S+) ", line)
    assert found
    error = float(found[1])
    assert error < (1e-4 if quant == "nf4" else 0.5)  # int8 rounds activations too
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert not getattr(model, "is_quantized", False)


def test_a_quantised_adapter_loads_on_a_quantised_base(tmp_path: Path) -> None:
    directory = finished("llama", "instruction_files", "method=lora", "quant=nf4", *TRAINED)
    code, said = exported(directory, tmp_path / "out", with_base=True)
    assert "BitsAndBytesConfig(" in code
    assert said[-1].endswith("0.00e+00")
    exec(code.partition("\ninputs = ")[0], {})


@pytest.mark.parametrize(
    ("given", "merge", "sentence"),
    [
        (("method=prefix",), True, "cannot be merged into them: leave --merge out"),
        (("method=adapter",), True, "cannot be merged into them: leave --merge out"),
        (("method=full",), None, "--base goes with an adapter"),
        (("method=majority",), False, "trained nothing: there is nothing to export"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_left(
    given: tuple[str, ...], merge: bool | None, sentence: str, tmp_path: Path
) -> None:
    directory = finished("bert", "text_files", *given)
    with pytest.raises(UserError, match=sentence):
        export(read_run(directory), tmp_path / "out", merge=bool(merge), with_base=merge is None, say=str)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(UserError, match="is there already"):
        exported(finished("bert", "text_files", "method=lora", *TRAINED), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    exported(finished("bert", "text_files", "method=lora", *TRAINED), tmp_path / "out", with_base=False)
    assert (tmp_path / "out" / "adapter_config.json").is_file()


def test_what_answers_differently_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = finished("bert", "text_files", "method=full", *TRAINED)
    save = exporting._save_model

    def lose_a_tensor(model: transformers.PreTrainedModel, folder: Path) -> None:
        save(model, folder)
        tensors = load_file(folder / "model.safetensors")
        del tensors["classifier.weight"]
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    monkeypatch.setattr(exporting, "_save_model", lose_a_tensor)
    with pytest.raises(Failed, match="answers differently"):
        export(read_run(directory), tmp_path / "out", merge=False, with_base=None, say=str)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    directory = finished("bert", "text_files", "method=lora", *TRAINED)
    command = [sys.executable, "-m", "ftlab", "export", str(directory), "--to", str(tmp_path / "out"), "--merge"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("from transformers import")
    assert "merged, written and loaded again: no logit differs by more than" in done.stderr
    assert "Warning" not in done.stderr
