"""The report in a real browser: no error, no request, charts, sorting, keyboard, phone width; leaves screenshots."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ftlab.comparison import compare
from ftlab.comparison.render.files import write_comparison
from tests.comparison.chromium import NAMES, Browser, find
from tests.comparison.examinations import examined_sweep
from tests.comparison.factory import add_run, hostile, showcase
from tests.comparison.families import add_predictions, with_tests

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),  # one browser, and the page that most look at
    pytest.mark.skipif(find() is None, reason=f"no browser: none of {', '.join(NAMES)} is installed"),
]

TRACES = "document.querySelectorAll('.scatterlayer .trace').length"
COLUMN = "[...document.querySelectorAll('.results tbody tr')].map(row => row.cells[{index}]?.textContent.trim())"
DRAWN = """
[...document.querySelectorAll('[data-chart]')].filter(figure => !figure.hidden).map(figure => [
  figure.dataset.chart,
  figure.querySelectorAll('.scatterlayer .trace, .barlayer .trace').length,
])
"""
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
    add_predictions(sweep)
    return write_comparison(with_tests(compare([sweep])), sweep)[-1]


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
    # The heat map is an image that Plotly makes: its address holds it.
    assert [url for url in browser.requests if not url.startswith("data:image/png")] == [page.resolve().as_uri()]


def test_the_charts_are_drawn(opened: Browser) -> None:
    opened.evaluate(SCROLL)
    # Seeds and mean of 7 rows and the frontier; 7 bands of three lines and 2 failed runs; 7 rows within the margin, and
    # 6 against the reference; 3 kinds of time; 7 rows; 1 matrix.
    drawn = dict(opened.evaluate(DRAWN))
    assert drawn == {"cost": 15, "curves": 23, "margin": 7, "tests": 6, "times": 3, "classes": 7, "confusion": 1}
    names = opened.evaluate("[...document.querySelectorAll('[data-chart=cost] text')].map(text => text.textContent)")
    assert "lora lr=0.002" in names


def test_every_choice_of_axis_draws(opened: Browser) -> None:
    labels = opened.evaluate("[...document.querySelectorAll('.choice label')].map(label => label.textContent)")
    curves = ["val/accuracy", "val/loss", "train/loss", "seeds together", "each run", "step", "time"]
    assert labels == ["time", "memory", "parameters", "lr", *curves]
    titles = {
        **{1: "peak memory (MB)", 2: "trainable parameters", 3: "optim.lr"},
        **{5: "val/loss", 6: "train/loss", 10: "training time (s)"},
    }
    for index, title in titles.items():
        opened.evaluate(f"document.querySelectorAll('.choice input')[{index}].click()")
        chart, axis = "cost" if index < 4 else "curves", "x" if index in (1, 2, 3, 10) else "y"
        opened.until(f"document.querySelectorAll('[data-chart={chart}] .scatterlayer .trace').length > 0")
        opened.until(f"document.querySelector('[data-chart={chart}] .{axis}title')?.textContent === '{title}'")


def test_the_chance_of_the_front_is_told_of_each_point_and_of_near_misses(opened: Browser) -> None:
    opened.evaluate("document.querySelectorAll('.choice input')[1].click()")  # memory
    texts = opened.evaluate(
        "document.querySelector('[data-chart=cost] .plot').data.map(trace => trace.hovertemplate).filter(Boolean)"
    )
    assert len(texts) == 7
    assert all("front" in text and "%" in text for text in texts)
    note = "document.querySelector('[data-chart=cost] .note').textContent"
    assert "lora lr=0.0005 (" in opened.evaluate(note)
    opened.evaluate("document.querySelector('.legend [data-method=head]').click()")
    assert "lora lr=0.0005" not in opened.evaluate(note)  # the chances are those among all rows


def test_seeds_can_be_drawn_one_by_one(opened: Browser) -> None:
    count = "document.querySelectorAll('[data-chart=curves] .scatterlayer .trace').length"
    opened.until(f"{count} === 7 * 3 + 2")
    note = "document.querySelector('[data-chart=curves] .note').textContent"
    of_bands = opened.evaluate(note)
    opened.evaluate("document.querySelectorAll('[data-chart=curves] .choice input')[4].click()")
    opened.until(f"{count} === 23")
    assert of_bands
    assert opened.evaluate(note) != of_bands


def test_a_method_can_be_hidden_in_all_charts(opened: Browser) -> None:
    opened.evaluate(SCROLL)
    before = dict(opened.evaluate(DRAWN))
    opened.evaluate("document.querySelector('.legend [data-method=lora]').click()")
    opened.until(
        f"{TRACES} === {before['cost'] + before['curves'] + before['margin'] + before['tests']} - 4 - 6 - 2 - 2"
    )
    assert dict(opened.evaluate(DRAWN))["classes"] == before["classes"] - 2
    assert opened.evaluate("document.querySelector('.legend [data-method=lora]').ariaPressed") == "false"
    opened.evaluate("document.querySelector('.legend [data-method=lora]').click()")
    opened.until(f"{TRACES} === {before['cost'] + before['curves'] + before['margin'] + before['tests']}")


def test_a_click_sorts_and_runs_without_result_stay_last(opened: Browser) -> None:
    assert opened.evaluate(SORTED)[2] == "descending"
    opened.evaluate("document.querySelectorAll('.results thead button')[7].click()")
    times = opened.evaluate(COLUMN.format(index=7))
    values = [float(text.split()[0]) for text in times if text]
    assert len(values) == 7
    assert values == sorted(values)
    assert times[-2:] == [None, None]
    opened.evaluate("document.querySelectorAll('.results thead button')[7].click()")
    times = opened.evaluate(COLUMN.format(index=7))
    assert [float(text.split()[0]) for text in times if text] == values[::-1]
    assert times[-2:] == [None, None]
    assert opened.evaluate(SORTED) == [None] * 7 + ["descending"] + [None] * 5


def test_statements_sort_by_their_words(opened: Browser) -> None:
    opened.evaluate("document.querySelectorAll('.results thead button')[5].click()")
    assert opened.evaluate(COLUMN.format(index=5)) == ["as good", "open", "open (worse)"] + ["worse by more"] * 4 + [
        None,
        None,
    ]


def test_text_method_and_status_filter_the_table_and_the_charts(opened: Browser) -> None:
    def rows() -> list[str]:
        found: list[str] = opened.evaluate(
            "[...document.querySelectorAll('.results tbody tr:not([hidden])')].map(row => row.dataset.row)"
        )
        return found

    def choose(name: str, value: str) -> None:
        place = f"document.querySelector('.filter select[name={name}]')"
        opened.evaluate(f"{place}.value = '{value}'; {place}.dispatchEvent(new Event('input', {{bubbles: true}}))")

    opened.evaluate("document.querySelector('.filter input').focus()")
    opened.send("Input.insertText", text="LORA 0.0005")
    assert rows() == ["lora lr=0.0005"]
    assert opened.evaluate("document.querySelector('.filter output').textContent") == "1 of 9 rows"
    opened.until("document.querySelectorAll('[data-chart=cost] .scatterlayer .trace').length === 2")
    opened.press("Escape", 27)
    assert len(rows()) == 9
    choose("status", "oom")
    assert rows() == ["adapter"]
    choose("status", "completed")
    choose("method", "lora")
    assert rows() == ["lora lr=0.002", "lora lr=0.0005"]
    opened.evaluate("document.querySelector('.filter button').focus()")
    opened.press("Enter", 13)
    opened.until("document.querySelectorAll('.results tbody tr:not([hidden])').length === 9")
    opened.until("document.querySelectorAll('[data-chart=cost] .scatterlayer .trace').length === 15")


def test_the_keyboard_reaches_filter_table_and_matrix(opened: Browser) -> None:
    opened.evaluate(SCROLL)
    opened.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(60):
        opened.press("Tab", 9)
        reached.add(opened.evaluate("(document.activeElement.name || document.activeElement.className || '')"))
        reached.add(opened.evaluate("document.activeElement.closest('[data-chart]')?.dataset.chart || ''"))
    assert {"text", "method", "status", "scroll", "confusion"} <= reached


def test_the_matrix_shows_the_row_that_is_chosen(opened: Browser) -> None:
    opened.evaluate(SCROLL)
    text = "document.querySelector('[data-chart=confusion] .plot').getAttribute('aria-label')"
    assert " full," in opened.evaluate(text)
    place = "document.querySelector('[data-chart=confusion] select')"
    opened.evaluate(f"{place}.value = 6; {place}.dispatchEvent(new Event('change'))")
    opened.until(f"{text}.includes(' head,')")


def test_the_keyboard_sorts(opened: Browser) -> None:
    opened.evaluate("document.querySelectorAll('.results thead button')[0].focus()")
    opened.press("Enter", 13)
    names = opened.evaluate(COLUMN.format(index=0))
    assert names == sorted(names)
    assert opened.evaluate(SORTED)[0] == "ascending"
    opened.press("Tab", 9)
    opened.press(" ", 32)
    assert opened.evaluate(SORTED)[:2] == [None, "ascending"]


@pytest.mark.slow
def test_nothing_overflows_on_a_phone(opened: Browser, tmp_path: Path) -> None:
    opened.view(390, 844, touch=True)
    opened.evaluate("document.querySelectorAll('details').forEach(item => { item.open = true; })")
    opened.evaluate(SCROLL)
    assert opened.evaluate("innerWidth") == 390
    assert opened.evaluate("document.documentElement.scrollWidth") == 390
    assert opened.evaluate("document.querySelectorAll('body *').length") > 300
    assert opened.evaluate(OVERFLOWING) == []
    assert opened.screenshot(tmp_path / "report-phone.png").stat().st_size > 50_000


def test_the_table_fits_a_laptop_without_scrolling(opened: Browser) -> None:
    assert opened.evaluate(
        "[...document.querySelectorAll('.scroll')].map(box => box.scrollWidth - box.clientWidth)"
    ) == [0, 0]  # results, and the examples on which rows disagree


@pytest.mark.parametrize(("dark", "most", "least"), [(False, 255, 250), (True, 40, 0)])
def test_light_and_dark_follow_the_reader(opened: Browser, dark: bool, most: int, least: int, tmp_path: Path) -> None:
    opened.view(1280, 900, dark=dark)
    colour = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    channels = [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    assert least <= min(channels) <= max(channels) <= most
    # The charts are painted again with the scheme's ink.
    ink = "getComputedStyle(document.body).color"
    opened.until(f"document.querySelector('[data-chart=cost] .textpoint text')?.style.fill === {ink}")
    assert opened.screenshot(tmp_path / f"report-{'dark' if dark else 'light'}.png").stat().st_size > 50_000


def test_hostile_names_run_nothing(browser: Browser, tmp_path: Path) -> None:
    page = write_comparison(compare([hostile(tmp_path)]), tmp_path)[-1]
    browser.problems.clear()
    browser.view(1280, 900)
    browser.open(page)
    browser.evaluate(SCROLL)
    names = "[...document.querySelectorAll('[data-chart=times] .ytick')].map(tick => tick.textContent)"
    browser.until(f"{names}.length >= 2")
    assert browser.problems == []
    shown = browser.evaluate(names)
    assert {"<script>alert(1)</script>", "中文 <b>方法</b>|**b**"} <= set(shown)
    assert browser.evaluate("document.images.length") == 0


def test_a_page_without_any_result_is_quiet(browser: Browser, tmp_path: Path) -> None:
    add_run(tmp_path, "lora", status="failed", curves=False)
    browser.problems.clear()
    browser.open(write_comparison(compare([tmp_path]), tmp_path)[-1])
    browser.evaluate(SCROLL)
    assert browser.problems == []
    assert browser.evaluate("[...document.querySelectorAll('.chart')].every(chart => chart.hidden)")


def test_examinations_and_predictions_stand_beside_the_table(browser: Browser, tmp_path: Path) -> None:
    sweep = examined_sweep(tmp_path / "sweep")
    page = write_comparison(with_tests(compare([sweep])), sweep)[-1]
    browser.problems.clear()
    browser.view(1280, 900)
    browser.open(page)
    browser.evaluate(SCROLL)
    browser.until(f"{TRACES} > 0")
    titles = browser.evaluate("[...document.querySelectorAll('.side')].map(t => t.closest('details').innerText)")
    assert len({title.splitlines()[0] for title in titles}) == 3  # beyond the test, by part of it, predicted
    assert dict(browser.evaluate(DRAWN))["times"] == 4  # the search beside the three
    head = "document.querySelector('.side thead th:nth-child(2) button')"
    browser.evaluate(f"{head}.click()")
    names = "[...document.querySelectorAll('.side')[0].tBodies[0].rows].map(row => row.cells[0].textContent.trim())"
    assert browser.evaluate(names) == ["prefix", "lora", "full"]  # from the smallest drop
    browser.screenshot(tmp_path / "sides.png")
    browser.view(390, 844, touch=True)
    browser.evaluate(SCROLL)
    assert browser.evaluate("document.documentElement.scrollWidth") == 390
    assert browser.evaluate(OVERFLOWING) == []
    assert browser.problems == []
