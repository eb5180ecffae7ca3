import re

import pytest

from ftlab.cli.help import print_help
from tests.fixtures.compose import composed


def test_each_groups_default_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    print_help([])
    marked = re.findall(r"^ +(\S+) +\(default\) ", capsys.readouterr().out, re.M)
    config = composed()
    named = [config.budget, config.dataset, config.hardware, config.method, config.model, config.quant, config.tracker]
    assert {group.name for group in named} < set(marked)
    assert len(marked) == 11


def test_no_more_than_one_choice_of_a_group_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    print_help([])
    groups = re.split(r"^(?=\S+$)", capsys.readouterr().out, flags=re.M)
    assert len(groups) > 10
    assert all(group.count("(default)") <= 1 for group in groups)
