"""The report in a real browser: no error, no request, charts, sorting, keyboard, phone width; leaves screenshots."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ftlab.compare import compare, write
from tests.compare.chromium import NAMES, Browser, find
from tests.compare.factory import add_run, hostile, showcase

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find() is None, reason=f"no browser: none of {', '.join(NAMES)} is installed"),
]

TRACES = "document.querySelectorAll('.scatterlayer .trace').length"
COLUMN = "[...document.querySelectorAll('.results tbody tr')].map(row => row.cells[{index}]?.textContent.trim())"
SORTED = "[...document.querySelectorAll('.results thead th')].map(head => head.getAttribute('aria-sort'))"
# Elements that reach beyond the window without a scrolling container of their own around them.
OVERFLOWING = """
[...document.body.querySelectorAll('*')].filter(element => {
  const box = element.getBoundingClientRect();
  return box.width && box.right > innerWidth + 1 && !element.closest('.scroll, pre, .plot, .defs');
}).map(element => element.outerHTML.slice(0, 120))
"""
SCROLL = """
(async () => {
  for (let y = 0; y < document.body.scrollHeight; y += 400) {
    scrollTo(0, y);
    await new Promise(done => setTimeout(done, 30));
  }
  scrollTo(0, 0);
})()
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    executable = find()
    assert executable is not None
    with Browser(executable, tmp_path_factory.mktemp("chromium") / "profile") as running:
        yield running


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sweep = showcase(tmp_path_factory.mktemp("showcase"))
    return write(compare([sweep]), sweep)[-1]


@pytest.fixture
def opened(browser: Browser, page: Path) -> Iterator[Browser]:
    """The showcase on a wide window, its charts drawn; fails on any console error or request afterwards."""
    browser.problems.clear()
    browser.requests.clear()
    browser.view(1280, 900)
    browser.open(page)
    browser.until(f"{TRACES} > 0")
    yield browser
    assert browser.problems == []
    assert browser.requests == [page.resolve().as_uri()]


def test_the_charts_are_drawn(opened: Browser) -> None:
    opened.until("document.querySelectorAll('[data-chart=cost] .scatterlayer .trace').length === 14")
    opened.until("document.querySelectorAll('[data-chart=curves] .scatterlayer .trace').length === 23")
    names = opened.evaluate("[...document.querySelectorAll('[data-chart=cost] text')].map(text => text.textContent)")
    assert "lora optim.lr=0.002" in names


def test_every_choice_of_axis_draws(opened: Browser) -> None:
    labels = opened.evaluate("[...document.querySelectorAll('.choice label')].map(label => label.textContent)")
    assert labels == ["time", "memory", "parameters", "val/accuracy", "val/loss", "train/loss", "step", "time"]
    titles = []
    for index in (1, 2, 4, 5, 7):
        opened.evaluate(f"document.querySelectorAll('.choice input')[{index}].click()")
        chart = "cost" if index < 3 else "curves"
        opened.until(f"document.querySelectorAll('[data-chart={chart}] .scatterlayer .trace').length > 0")
        query = f"document.querySelector('[data-chart={chart}] .{'x' if index in (1, 2, 7) else 'y'}title').textContent"
        titles.append(opened.evaluate(query))
    assert titles == ["peak memory (MB)", "trainable parameters", "val/loss", "train/loss", "training time (s)"]


def test_a_method_can_be_hidden_in_both_charts(opened: Browser) -> None:
    opened.until(f"{TRACES} === 37")
    opened.evaluate("document.querySelector('.legend [data-method=lora]').click()")
    opened.until(f"{TRACES} === 37 - 4 - 6")
    assert opened.evaluate("document.querySelector('.legend [data-method=lora]').ariaPressed") == "false"
    opened.evaluate("document.querySelector('.legend [data-method=lora]').click()")
    opened.until(f"{TRACES} === 37")


def test_a_click_sorts_and_runs_without_result_stay_last(opened: Browser) -> None:
    assert opened.evaluate(SORTED)[1] == "descending"
    opened.evaluate("document.querySelectorAll('.results thead button')[4].click()")
    times = opened.evaluate(COLUMN.format(index=4))
    values = [float(text.split()[0]) for text in times if text]
    assert len(values) == 7
    assert values == sorted(values)
    assert times[-2:] == [None, None]
    opened.evaluate("document.querySelectorAll('.results thead button')[4].click()")
    times = opened.evaluate(COLUMN.format(index=4))
    assert [float(text.split()[0]) for text in times if text] == values[::-1]
    assert times[-2:] == [None, None]
    assert opened.evaluate(SORTED) == [None, None, None, None, "descending", None, None, None, None, None]


def test_the_keyboard_sorts(opened: Browser) -> None:
    opened.evaluate("document.querySelectorAll('.results thead button')[0].focus()")
    opened.press("Enter", 13)
    names = opened.evaluate(COLUMN.format(index=0))
    assert names == sorted(names)
    assert opened.evaluate(SORTED)[0] == "ascending"
    opened.press("Tab", 9)
    opened.press(" ", 32)
    assert opened.evaluate(SORTED)[:2] == [None, "ascending"]


def test_nothing_overflows_on_a_phone(opened: Browser) -> None:
    opened.view(390, 844, touch=True)
    opened.evaluate("document.querySelectorAll('details').forEach(item => { item.open = true; })")
    opened.evaluate(SCROLL)
    assert opened.evaluate("innerWidth") == 390
    assert opened.evaluate("document.documentElement.scrollWidth") == 390
    assert opened.evaluate("document.querySelectorAll('body *').length") > 300
    assert opened.evaluate(OVERFLOWING) == []


def test_the_table_fits_a_laptop_without_scrolling(opened: Browser) -> None:
    assert opened.evaluate(
        "[...document.querySelectorAll('.scroll')].map(box => box.scrollWidth - box.clientWidth)"
    ) == [0]


@pytest.mark.parametrize(("dark", "most", "least"), [(False, 255, 250), (True, 40, 0)])
def test_light_and_dark_follow_the_reader(opened: Browser, dark: bool, most: int, least: int) -> None:
    opened.view(1280, 900, dark=dark)
    colour = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    channels = [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    assert least <= min(channels) <= max(channels) <= most
    # The charts are painted again with the scheme's ink.
    ink = "getComputedStyle(document.body).color"
    opened.until(f"document.querySelector('[data-chart=cost] .textpoint text')?.style.fill === {ink}")


def test_screenshots(opened: Browser, tmp_path: Path) -> None:
    for name, width, dark in (("light", 1280, False), ("dark", 1280, True), ("phone", 390, False)):
        opened.view(width, 900, dark=dark, touch=width < 600)
        opened.evaluate(SCROLL)
        path = opened.screenshot(tmp_path / f"report-{name}.png")
        assert path.stat().st_size > 50_000


def test_hostile_names_run_nothing(browser: Browser, tmp_path: Path) -> None:
    page = write(compare([hostile(tmp_path)]), tmp_path)[-1]
    browser.problems.clear()
    browser.view(1280, 900)
    browser.open(page)
    browser.evaluate(SCROLL)
    browser.until(f"{TRACES} >= 5")
    assert browser.problems == []
    shown = browser.evaluate("[...document.querySelectorAll('[data-chart=cost] .textpoint')].map(t => t.textContent)")
    assert {"<script>alert(1)</script>", "中文 <b>方法</b>|**b**"} <= set(shown)
    assert browser.evaluate("document.images.length") == 0


def test_a_page_without_any_result_is_quiet(browser: Browser, tmp_path: Path) -> None:
    add_run(tmp_path, "lora", status="failed", curves=False)
    browser.problems.clear()
    browser.open(write(compare([tmp_path]), tmp_path)[-1])
    browser.evaluate(SCROLL)
    assert browser.problems == []
    assert browser.evaluate("[...document.querySelectorAll('.chart')].every(chart => chart.hidden)")
