from dataclasses import replace

from ftlab.comparison import settings
from ftlab.comparison.settings import FlatConfig, RunSettings, flatten_config, run_labels


def suffixes(configurations: list[FlatConfig], **names: list[str]) -> list[str]:
    """`names`: group -> the preset's name in each configuration."""
    presets = [{group: own[index] for group, own in names.items()} for index in range(len(configurations))]
    return [
        " ".join(f"{key}={text}" for key, text in found.items())
        for found in settings.distinguishing_settings(configurations, presets)
    ]


def flat(**settings: object) -> dict[str, object]:
    return {key.replace("__", "."): value for key, value in settings.items()}


def test_flatten_keeps_lists_and_dots_groups() -> None:
    assert flatten_config({"a": {"b": {"c": 1}, "d": [1, 2]}, "e": None}) == {"a.b.c": 1, "a.d": [1, 2], "e": None}


def test_a_single_configuration_needs_no_suffix() -> None:
    assert suffixes([flat(optim__lr=1e-3)]) == [""]


def test_only_differing_settings_are_named() -> None:
    one, two = (flat(optim__lr=lr, method__config__r=8, optim__eps=1e-8) for lr in (1e-3, 2e-3))
    assert suffixes([one, two]) == ["optim.lr=0.001", "optim.lr=0.002"]


def test_missing_null_and_text_are_told_apart() -> None:
    assert suffixes([flat(a=None), flat(a="null text"), flat()]) == ["a=null", "a=null text", "a=unset"]


def test_a_preset_that_stands_for_its_values_is_named_instead_of_them() -> None:
    cpu = flat(hardware__accelerator="cpu", hardware__threads=2, optim__lr=1)
    gpu = flat(hardware__accelerator="gpu", hardware__threads=None, optim__lr=1)
    assert suffixes([cpu, gpu], hardware=["cpu", "gpu"]) == ["hardware=cpu", "hardware=gpu"]


def test_a_preset_changed_by_hand_is_not_hidden_behind_its_name() -> None:
    once, thrice = flat(budget__epochs=1), flat(budget__epochs=3)
    assert suffixes([once, thrice], budget=["small", "small"]) == ["budget.epochs=1", "budget.epochs=3"]


def run(*names: str, seed: int = 0, **own: object) -> RunSettings:
    return RunSettings(("", *names), seed, flat(**own), {})


def test_a_run_is_called_by_what_differs_within_its_sweep() -> None:
    assert run_labels([run("lora", "minilm", "bbc_news")]) == [""]
    assert run_labels([]) == []
    methods = [run("lora", "minilm", "bbc_news", method__r=8), run("full", "minilm", "bbc_news", optim__lr=1e-5)]
    assert run_labels(methods) == ["lora", "full"], "settings of different methods need not be compared"
    grid = [run("lora", "minilm", "bbc_news", seed=seed, optim__lr=lr) for lr in (1e-3, 2e-3) for seed in (0, 1)]
    assert run_labels(grid) == ["lr=0.001 seed=0", "lr=0.001 seed=1", "lr=0.002 seed=0", "lr=0.002 seed=1"]


def test_a_trial_is_told_from_the_run_that_it_was_for() -> None:
    trial, final = run("lora", "minilm", "bbc_news"), run("lora", "minilm", "bbc_news")
    assert run_labels([replace(trial, names=("trial", *trial.names[1:])), final]) == ["trial", ""]
