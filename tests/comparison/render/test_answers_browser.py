"""Answers in a real browser: side by side where there is room, and one below the other on a phone."""

from pathlib import Path

import pytest

from ftlab.comparison import compare
from ftlab.comparison.render.files import write_comparison
from tests.comparison.chromium import NAMES, Browser, find
from tests.comparison.render.test_answers import answered_run
from tests.comparison.render.test_report_browser import OVERFLOWING

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(find() is None, reason=f"no browser: none of {', '.join(NAMES)} is installed"),
]

# left and top of what is expected and of each answer to the first prompt
PLACES = """
[...document.querySelector('.answered dl').children].map(part => {
  const box = part.getBoundingClientRect();
  return [Math.round(box.left), Math.round(box.top)];
})
"""


def test_answers_are_columns_on_a_desk_and_rows_on_a_phone(tmp_path: Path) -> None:
    long = "今天天气很好，我们去公园。" * 30 + "Donaudampfschifffahrtsgesellschaft" * 5
    for method in ("full", "lora"):
        answered_run(tmp_path / "sweep", method, [f"{n} {long}\n    indented\x07" for n in range(4)])
    page = write_comparison(compare([tmp_path / "sweep"]), tmp_path / "sweep")[-1]
    executable = find()
    assert executable is not None
    with Browser(executable, tmp_path / "profile") as browser:
        browser.view(1280, 900)
        browser.open(page)
        lefts, tops = zip(*browser.evaluate(PLACES), strict=True)
        assert len({*lefts}) == 3
        assert len({*tops}) == 1
        text = browser.evaluate("document.querySelector('.answered dd:last-child').innerText")
        assert browser.evaluate("getComputedStyle(document.querySelector('.answered dd')).whiteSpace") == "pre-wrap"
        assert (
            browser.evaluate(
                "document.querySelector('.answered').compareDocumentPosition(document.querySelector('.results')) & 4"
            )
            == 4
        ), "before the scores"
        assert text
        browser.view(390, 844, touch=True)
        browser.open(page)
        lefts, tops = zip(*browser.evaluate(PLACES), strict=True)
        assert len({*lefts}) == 1
        assert len({*tops}) == 3
        assert browser.evaluate("document.documentElement.scrollWidth") == 390, browser.evaluate(OVERFLOWING)
        assert browser.problems == []
