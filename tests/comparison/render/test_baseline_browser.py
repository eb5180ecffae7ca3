"""The line of the best constant answer in the chart of cost, in a real browser."""

from dataclasses import replace
from pathlib import Path

import pytest

from ftlab.comparison import compare
from ftlab.comparison.render.files import write_comparison
from ftlab.comparison.tables import Baseline, ComparisonTables, Table
from tests.comparison.chromium import NAMES, Browser, find
from tests.comparison.factory import add_run
from tests.comparison.families import with_tests
from tests.fixtures.statements import states

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(find() is None, reason=f"no browser: none of {', '.join(NAMES)} is installed"),
]


@pytest.mark.parametrize("phone", [False, True])
def test_the_line_is_drawn_and_named_only_where_it_does_not_press_the_rows_together(
    tmp_path: Path, phone: bool
) -> None:
    for method, accuracy in (("full", 0.4), ("lora", 0.3), ("prefix", 0.2)):
        add_run(tmp_path, method, accuracy=accuracy)
    (table,) = with_tests(compare([tmp_path])).tables
    near, far = (
        page_of(table, Baseline("business", value, table.columns[0]), tmp_path / str(value)) for value in (0.2281, 0.9)
    )
    executable = find()
    assert executable is not None
    with Browser(executable, tmp_path / "profile") as browser:
        browser.view(*((390, 844) if phone else (1280, 900)), dark=phone, touch=phone)
        names, note = looked_at(browser, near)
        assert sorted(names) == ["always business 0.228", "full", "lora", "prefix"]
        states(note, "Dashed: the best constant answer")
        names, note = looked_at(browser, far)
        assert sorted(names) == ["full", "lora", "prefix"]
        states(note, "Not on this axis: always business", "0.900")
        assert browser.problems == []


def page_of(table: Table, baseline: Baseline, folder: Path) -> Path:
    folder.mkdir()
    comparison = ComparisonTables((replace(table, baseline=baseline),), ())
    return write_comparison(comparison, folder)[-1]


def looked_at(browser: Browser, page: Path) -> tuple[list[str], str]:
    """Return the names in the chart of cost, and the note below it."""
    browser.open(page)
    browser.until("document.querySelectorAll('[data-chart=cost] .textpoint text').length > 0")
    names = "[...document.querySelectorAll('[data-chart=cost] .textpoint text')].map(text => text.textContent)"
    note = "document.querySelector('[data-chart=cost] .note').textContent"
    return [name for name in browser.evaluate(names) if name], browser.evaluate(note)
