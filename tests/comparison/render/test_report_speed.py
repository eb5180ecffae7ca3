"""Report of 200 runs, built and opened; `-s` prints how long that takes, the figures that docs/comparison.md has."""

import time
from pathlib import Path

import pytest

from ftlab.comparison import compare
from ftlab.comparison.render.files import write_comparison
from tests.comparison.chromium import NAMES, Browser, find
from tests.comparison.factory import METHODS, add_run
from tests.comparison.families import add_predictions, with_tests

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find() is None, reason=f"no browser: none of {', '.join(NAMES)} is installed"),
]


@pytest.mark.slow
def test_two_hundred_runs_are_built_and_opened(tmp_path: Path) -> None:
    root, methods = tmp_path / "sweep", list(METHODS)
    for index in range(200):
        status = "failed" if index % 17 == 0 else "completed"
        settings = {"dataset.name": f"data_{index // 67}"}
        add_run(root, methods[index % 9], seed=index // 9, status=status, settings=settings)
    add_predictions(root)
    comparison = with_tests(compare([root]))  # the statistics have a time of their own
    wall, begun = time.perf_counter(), time.process_time()
    page = write_comparison(comparison, root)[-1]
    built = time.process_time() - begun
    clock = time.perf_counter() - wall
    print(f"\nbuilt in {built:.2f} s of CPU, {clock:.2f} s by the clock: {page.stat().st_size:,} bytes")
    executable = find()
    assert executable is not None
    with Browser(executable, tmp_path / "profile") as browser:
        browser.send("Performance.enable", timeDomain="threadTicks")
        browser.view(1280, 900)
        browser.open(page)
        paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        browser.until(f"{paint} > 0")
        browser.until("document.querySelectorAll('.scatterlayer .trace').length > 0")
        metrics = {item["name"]: item["value"] for item in browser.send("Performance.getMetrics")["metrics"]}
        busy = metrics["TaskDuration"]
        shown = browser.evaluate(paint) / 1000
        print(f"opened with {busy:.2f} s of the page's CPU, tables painted after {shown:.2f} s by the clock")
        assert browser.evaluate("document.querySelectorAll('.results tbody tr').length") == 27 + 12
        assert browser.problems == []
