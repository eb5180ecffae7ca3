"""The user's own template: where it says what goes, and one sentence for every mistake in it."""

from pathlib import Path

import pytest

from ftlab.config.run_config import validate
from ftlab.core.errors import ConfigError, DataError
from ftlab.data.generative import TemplateKey
from ftlab.data.prompting.slots import SLOTS
from ftlab.data.rows.turns import Turn
from tests.data.making import build, dataset, jsonl
from tests.data.prompting.test_many_turns import CHAT, answers, chat, data, encoded
from tests.data.test_instruction import Tokenizers
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused

ROW = {"prompt": "What is it?", "input": "A film.", "response": "A comedy."}
INPUT = "{% if input %} ({{ input }}){% endif %}"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (f"Q: {{{{ prompt }}}}{INPUT}\nA: {{{{ response }}}}", "Q: What is it? (A film.)\nA: A comedy."),
        (f"{{{{ prompt }}}}{INPUT}\n", "What is it? (A film.)\nA comedy."),  # the response goes last
        ("{{ messages[0].content }}\n=> {{ messages[1].content }}", "What is it?\n\nA film.\n=> A comedy."),
        ("{{ source }}{{ input }}|{{ target }}", "What is it?A film.|A comedy."),
    ],
)
def test_places(tokenizers: Tokenizers, template: str, text: str) -> None:
    tokenizer = tokenizers["llama"]
    found = encoded(tokenizer, ROW, template=template)
    assert found is not None
    assert tokenizer.decode(found[0]) == f"{text}<|im_end|>"
    ((start, end),) = answers(found[1])
    assert tokenizer.decode(found[0][start:end]) == "A comedy.<|im_end|>"


def test_what_the_template_puts_behind_the_response_ends_it(tokenizers: Tokenizers) -> None:
    template = "<|im_start|>{{ prompt }}{{ input }}: {{ response }}<|im_end|>\n"
    found = encoded(tokenizers["gpt2"], ROW, template=template)
    assert found is not None
    assert tokenizers["gpt2"].decode(found[0]).endswith("A comedy.<|im_end|>")
    found = encoded(tokenizers["gpt2"], chat(CHAT[1:]), template=template)
    assert found is not None
    num_loss_tokens = [tokenizers["gpt2"].decode(found[0][start:end]) for start, end in answers(found[1])]
    assert num_loss_tokens == ["A film.<|im_end|>", "很好看。<|im_end|>"]


def test_the_system_prompt_has_its_place(tokenizers: Tokenizers) -> None:
    template = "{% if system %}## {{ system }}\n{% endif %}{{ prompt }}\n{{ response }}"
    for row, system in ((chat(CHAT), "Be brief."), (chat(CHAT[1:]), "Be kind.")):
        found = encoded(tokenizers["llama"], row, template=template, system="Be kind.")
        assert found is not None
        text = str(tokenizers["llama"].decode(found[0]))
        assert text.startswith(f"## {system}\nWhat is it?\nA film.")
        assert text.count("##") == 1


@pytest.mark.parametrize(
    ("template", "culprits"),
    [
        ("{{ prompt }}\n{% if input %}{{ input }}", ("line 2", "Jinja")),
        ("{{ prompt }}\n\n{{ }}", ("line 3", "Jinja")),
        ("{{ propmt }}", ("'propmt'", "mean prompt?")),
        ("{{ response }}", ("{{ prompt }}",)),
        ("{% if false %}{{ prompt }}{% endif %}{{ response }}", ("{{ prompt }}",)),
        ("{{ prompt }} {{ response }} {{ response }}", ("{{ response }}", "one")),
        ("{{ prompt }} {{ response }}", ("{{ input }}", "dataset.columns.input=null")),
        ("{{ messages[0].content }}", ("0 of 1",)),
        ("{{ messages[9].content }}", ("list object has no element 9",)),
        ("{{ prompt.__class__.__mro__ }}", ("'__class__'", "unsafe")),
        ("{{ messages.append(1) }}", ("append",)),
        ("{{ 1 / 0 }}{{ prompt }}", ("division by zero",)),
        ("alpacca", ("dataset.template=alpacca", "mean alpaca?")),
    ],
)
def test_mistakes(tokenizers: Tokenizers, template: str, culprits: tuple[str, ...]) -> None:
    with refused(DataError, "dataset.template", *culprits):
        encoded(tokenizers["llama"], ROW, template=template)


def test_a_system_prompt_without_a_place(tokenizers: Tokenizers) -> None:
    with refused(DataError, "dataset.template", "{{ system }}"):
        encoded(tokenizers["llama"], ROW | {"input": ""}, template="{{ prompt }}", system="Be kind.")


def test_jinja_in_a_row_is_text(tokenizers: Tokenizers) -> None:
    row = {"prompt": "{{ 7 * 6 }}{% raise %}", "response": "{{ system }}"}
    found = encoded(tokenizers["llama"], row, template="{{ prompt }}: {{ response }}")
    assert found is not None
    assert tokenizers["llama"].decode(found[0]) == "{{ 7 * 6 }}{% raise %}: {{ system }}<|im_end|>"


def test_a_file_is_read_when_the_configuration_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.jinja"
    path.write_text("{{ prompt }}\n-> {{ response }}\n", encoding="utf-8")
    settings = ["dataset=chatterbot", "model=smollm2-135m"]
    assert composed(*settings, f"dataset.template={path}").dataset.template == "{{ prompt }}\n-> {{ response }}"
    assert composed(*settings, r"dataset.template='{{ prompt }}\n'").dataset.template == "{{ prompt }}\n"
    with refused(ConfigError, f"dataset.template='{tmp_path}/none.jinja'", "No such file"):
        composed(*settings, f"dataset.template={tmp_path}/none.jinja")


def test_a_configuration_that_is_read_again_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "mine.jinja"
    path.write_text('{{ prompt ~ "\\n" }}{{ response }}', encoding="utf-8")
    settings = ("dataset=instruction_files", "dataset.source.train=x", f"dataset.template={path}")
    config = composed(*settings)
    assert validate(config.model_dump(mode="json", by_alias=True)) == config


def test_a_mistake_is_told_before_a_model_is_loaded(tmp_path: Path) -> None:
    source = {"train": jsonl(tmp_path / "a.jsonl", [ROW | {"prompt": f"{n}"} for n in range(20)])}
    with refused(DataError, "dataset.template", "line 1", "Jinja"):
        build(dataset("instruction", source, template="{{ prompt "))


def test_fixed_text_of_demonstrations(tokenizers: Tokenizers) -> None:
    module = data([ROW], template="{{ prompt }}{{ input }}: {{ response }}")
    fixed = module._template(tokenizers["llama"], TemplateKey(), [Turn("Who?", "She.")])
    (written,) = fixed.fill([{slot: [] for slot in SLOTS}])
    assert tokenizers["llama"].decode(written[0]) == "Who?: She.<|im_end|>\n\n: "
