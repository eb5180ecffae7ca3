"""Secrets are blanked by their keys, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.config import secrets
from ftlab.config.secrets import (
    blank_text,
    blank_word,
    blanked_keys,
    is_secret_key,
    secrets_in,
    with_blanks,
    with_secrets,
)
from tests.fixtures.compose import composed

# fmt: off
SECRET = (
    "token", "hf_token", "dataset.source.token", "access-token", "accessToken", "HF_TOKEN", "api_key", "apiKey",
    "WANDB_API_KEY", "key", "private_key", "secret", "client_secret", "secretKey", "password", "db_password", "apikey",
)
HARMLESS = (
    "tokens", "budget.tokens", "max_tokens", "max_new_tokens", "num_tokens", "tokenizer", "tokenizer.name", "monkey",
    "token_dim", "eos_token", "pad_token", "eos_token_id", "loss_per_token", "keyboard", "turkey", "keys", "label_key",
    "num_key_value_heads", "text_key", "sort_key", "token_classification", "secretary", "method.config.use_rslora",
)
# fmt: on


@pytest.mark.parametrize("key", SECRET)
def test_keys_of_secrets(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize("key", HARMLESS)
def test_keys_of_other_settings(key: str) -> None:
    assert not is_secret_key(key)


@pytest.mark.parametrize(
    "overrides",
    [("method=lora",), ("method=prompt", "dataset=chatterbot", "model=smollm2-135m"), ("dataset=conll2003",)],
)
def test_no_setting_of_ftlabs_own_is_a_secret(overrides: tuple[str, ...]) -> None:
    values = composed(*overrides).model_dump(mode="json", by_alias=True)
    assert not secrets_in(values)
    assert with_blanks(values) == values


@pytest.mark.parametrize(
    ("word", "blanked"),
    [
        ("+dataset.source.token=hf_abc", "+dataset.source.token=***"),
        ("++a.password='x y, z'", "++a.password=***"),
        ("+source={_target_: m.f, token: hf_x, max_tokens: 3}", "+source={_target_: m.f, token: ***, max_tokens: 3}"),
        ("source.url=https://me:pw@host/x?a=1", "source.url=https://me:***@host/x?a=1"),
        ("source.url=https://host/x?token=abc&page=2", "source.url=https://host/x?token=***&page=2"),
        ("setup=[export HF_TOKEN=hf_abc]", "setup=[export HF_TOKEN=***]"),
        *(
            (word, word)
            for word in (
                *("method=lora,full", "-m", "budget.tokens=1e6", "x.token=${oc.env:HF_TOKEN}", "a.token="),
                "+method.config.rank_pattern={query: 8, key: 4}",
            )
        ),
    ],
)
def test_words_of_a_command(word: str, blanked: str) -> None:
    assert blank_word(word) == blanked


def test_a_number_of_a_layer_that_is_called_key_is_no_secret() -> None:
    values = {"method": {"config": {"rank_pattern": {"key": 8, "attention.self.key": 4}, "api_key": 12345678}}}
    assert secrets_in(values) == {("method", "config", "api_key"): 12345678}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["token", "a", "api_key", "tokens"]), inner),
)


@given(VALUES)
def test_what_is_blanked_can_be_put_back(values: object) -> None:
    found = secrets_in(values)
    blanked = with_blanks(values)
    assert with_secrets(blanked, found) == values
    assert not secrets_in(blanked)
    assert set(blanked_keys(blanked)) >= {".".join(map(str, path)) for path in found}


def test_a_text_has_none_of_the_secrets_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_REMEMBERED", set())
    monkeypatch.setenv("SOME_API_KEY", "from-environment")
    monkeypatch.setenv("OTHER_KEY", "a")  # too short to be told from a word
    monkeypatch.setenv("PWD", "/home/me/project")  # the working directory, no password
    assert blank_text("/home/me/project/data.csv does not exist") == "/home/me/project/data.csv does not exist"
    secrets.remember_secrets(["from-settings"])
    text = "a bad answer for from-settings and from-environment at ftp://me:pw@host/x"
    assert blank_text(text) == "a bad answer for *** and *** at ftp://me:***@host/x"
