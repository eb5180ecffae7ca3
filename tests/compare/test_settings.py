from ftlab.compare.settings import decisive, flatten, identity, suffixes


def flat(**settings: object) -> dict[str, object]:
    return {key.replace("__", "."): value for key, value in settings.items()}


def test_flatten_keeps_lists_and_dots_groups() -> None:
    assert flatten({"a": {"b": {"c": 1}, "d": [1, 2]}, "e": None}) == {"a.b.c": 1, "a.d": [1, 2], "e": None}


def test_decisive_drops_whole_groups_but_not_names_that_begin_alike() -> None:
    kept = decisive({"seed": 1, "sweep.dir": "x", "tracker.tags": [], "method.lr": 1.0, "method.lrs": 2, "seeds": 3})
    assert kept == {"method.lrs": 2, "seeds": 3}


def test_identity_does_not_depend_on_the_order_of_keys() -> None:
    assert identity({"a": 1, "b": 2, "seed": 0}) == identity({"seed": 7, "b": 2, "a": 1})
    assert identity({"a": 1}) != identity({"a": 1.5})


def test_a_single_configuration_needs_no_suffix() -> None:
    assert suffixes([flat(optim__lr=1e-3)]) == [""]


def test_only_differing_settings_are_named_and_the_rate_once() -> None:
    one = flat(optim__lr=1e-3, method__lr=1e-3, method__config__r=8, optim__eps=1e-8)
    two = flat(optim__lr=2e-3, method__lr=2e-3, method__config__r=8, optim__eps=1e-8)
    assert suffixes([one, two]) == ["optim.lr=0.001", "optim.lr=0.002"]


def test_missing_null_and_text_are_told_apart() -> None:
    assert suffixes([flat(a=None), flat(a="null text"), flat()]) == ["a=null", "a=null text", "a=unset"]


def test_a_preset_that_stands_for_its_values_is_named_instead_of_them() -> None:
    cpu = flat(hardware__name="cpu", hardware__accelerator="cpu", hardware__threads=2, optim__lr=1)
    gpu = flat(hardware__name="gpu", hardware__accelerator="gpu", hardware__threads=None, optim__lr=1)
    assert suffixes([cpu, gpu]) == ["hardware=cpu", "hardware=gpu"]


def test_a_preset_changed_by_hand_is_not_hidden_behind_its_name() -> None:
    small = flat(budget__name="small", budget__epochs=1)
    more = flat(budget__name="small", budget__epochs=3)
    assert suffixes([small, more]) == ["budget.epochs=1", "budget.epochs=3"]
