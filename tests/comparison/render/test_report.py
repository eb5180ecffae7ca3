import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

from ftlab.comparison import compare
from ftlab.comparison.render.report import report
from ftlab.record import Metric, Sample
from tests.comparison.factory import METHODS, add_run, demo, hostile, showcase
from tests.comparison.families import add_predictions, untested, with_tests
from tests.fixtures.statements import states

PAGE = Path(__file__).resolve().parents[3] / "src" / "ftlab" / "comparison" / "render" / "page"


class Page(HTMLParser):
    """Collects elements and the text outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.text += data


def test_hostile_names_are_text_and_never_elements(tmp_path: Path) -> None:
    page = Page(report(compare([hostile(tmp_path)]), tmp_path))
    kinds = [attrs.get("type") for tag, attrs in page.elements if tag == "script"]
    assert kinds == ["application/json"] + [None] * 9  # ours, and no more
    assert not [attrs for tag, attrs in page.elements if tag in ("img", "i", "b", "iframe", "object")]
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.text
    assert "中文 <b>方法</b>" in page.text
    data = json.loads(page.scripts[0])
    assert "<script>alert(1)</script>" in data["methods"]
    assert "<" not in page.scripts[0]


def test_nothing_is_fetched(tmp_path: Path) -> None:
    page = Page(report(compare([demo(tmp_path)]), tmp_path))
    policy = next(
        attrs["content"] for tag, attrs in page.elements if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert "http" not in policy
    links = [attrs.get(name) for _, attrs in page.elements for name in ("src", "href") if attrs.get(name)]
    assert links
    assert all(link.startswith(("#", "data:,")) for link in links if link)


def test_plotly_is_embedded_once(tmp_path: Path) -> None:
    html = report(compare([showcase(tmp_path)]), tmp_path)
    assert html.count("Copyright 2012-") == 1
    assert len(html.encode()) < 1_500_000


def test_the_chart_library_is_the_published_one() -> None:
    """CONTRIBUTING.md says where the file is from; a changed byte would make another program of it."""
    library = PAGE / "vendor" / "plotly-basic.min.js"
    digest = "99784e3abfb07b142a15e521a439e6d9addceadb3f79553fd24c72774f0649ba"
    assert hashlib.sha256(library.read_bytes()).hexdigest() == digest
    assert "MIT" in (PAGE / "vendor" / "plotly-LICENSE").read_text(encoding="utf-8")


def test_what_all_runs_share_is_written_once(tmp_path: Path) -> None:
    html = report(compare([showcase(tmp_path / "many")]), tmp_path)
    runs = html[html.index('id="runs"') :]
    assert runs.count("dataset.val_fraction=") == 1
    assert runs.count("transformers 5.23.0") == 2  # and in the footer
    assert runs.count("budget.max_length=") == 23  # one method has another length
    add_run(tmp_path / "single", "lora")
    html = report(compare([tmp_path / "single"]), tmp_path)
    assert "What all runs share" not in html
    assert "dataset.val_fraction=" in html[html.index('id="runs"') :]


def test_the_page_says_what_the_records_say(tmp_path: Path) -> None:
    text = Page(report(untested(compare([showcase(tmp_path)])), tmp_path)).text
    for part in (
        *("21 of 23 runs", "1 failed", "1 out of memory", "0.953 ± 0.004", "max_length", "RuntimeError: loss is nan"),
        *("Traceback (most recent call last)", "3f2a9c71d04be8566c1f", "0f3c9a1b2d4e5f60718293a4b5c6d7e8f9012345"),
        *("uncommitted", "optim.lr=0.0005", "largest difference of the logits 2.4e-07", "transformers 5.23.0"),
        "python train.py -m method=lora,prefix,full",
    ):
        assert part in text, part


def test_a_record_with_nothing_optional_in_it_makes_a_page(tmp_path: Path) -> None:
    bare = {
        "parameters": None,
        "hardware": None,
        "data": None,
        "git": None,
        "versions": {},
        "command": [],
        "columns": [],
    }
    add_run(tmp_path, "lora", status="interrupted", curves=False, changes=bare | {"base_model": None, "config": {}})
    text = Page(report(compare([tmp_path]), tmp_path)).text
    states(text, "0 of 1 run", "1 interrupted")
    assert "python" not in text  # no command


def test_the_work_grows_with_the_runs_and_needs_no_torch(tmp_path: Path) -> None:
    """Function calls are counted, which no busy machine changes; what takes how long is in docs/comparison.md."""
    names = list(METHODS)
    for count in (60, 120):
        for index in range(count):
            dataset = f"data_{index % 3}"
            status = "failed" if index % 17 == 0 else "completed"
            settings = {"dataset.name": dataset}
            add_run(tmp_path / str(count), names[index % 9], seed=index // 27, status=status, settings=settings)
    code = """
import cProfile, pstats, sys
from pathlib import Path
from ftlab.comparison import compare
from ftlab.comparison.render.files import write_comparison
from ftlab.comparison.render.terminal import terminal_tables
from rich.console import Console

def made(root):
    comparison = compare([root], tests=False)
    write_comparison(comparison, root)
    Console(file=open("/dev/null", "w")).print(terminal_tables(comparison))
    return len(comparison.runs)

small, large = map(Path, sys.argv[1:])
made(small)  # whatever is made once
for root in (small, large):
    profile = cProfile.Profile()
    rows = profile.runcall(made, root)
    print(rows, pstats.Stats(profile).total_calls)
heavy = {"torch", "lightning", "transformers", "hydra", "peft", "datasets", "pandas", "numpy"} & set(sys.modules)
print(*sorted(heavy))
"""
    command = [sys.executable, "-c", code, str(tmp_path / "60"), str(tmp_path / "120")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    small, large, heavy = done.stdout.split("\n", 2)
    assert heavy.strip() == ""
    (few, calls), (many, more) = (map(int, line.split()) for line in (small, large))
    assert (few, many) == (60, 120)
    assert more < 2.2 * calls


def test_assets_name_no_address() -> None:
    assets = sorted(path for path in PAGE.iterdir() if path.is_file())
    assert {path.suffix for path in assets} == {".css", ".jinja", ".js"}
    for path in assets:
        text = path.read_text(encoding="utf-8")
        assert text
        assert not re.search(r"https?://|@import|url\(", text), path.name
        assert len(text.splitlines()) <= 300, f"{path.name}: split it"


def test_answers_are_shown_as_text(tmp_path: Path) -> None:
    sample = Sample(prompt="<b>How</b>?", expected="So.", written="</dl><script>alert(1)</script>")
    bleu = Metric(value=12.5, n=3, signature="nrefs:1|tok:zh")
    metrics = {"seq2seq": {"test": {"bleu": bleu}}}
    add_run(tmp_path / "sweep", "lora", changes={"samples": [sample], "metrics": metrics})
    page = Page(report(compare([tmp_path / "sweep"]), tmp_path))
    assert "<b>How</b>?" in page.text
    assert "</dl><script>alert(1)</script>" in page.text
    assert "12.5 (n = 3; nrefs:1|tok:zh)" in page.text


def test_what_the_tests_found_comes_first(tmp_path: Path) -> None:
    page = Page(report(with_tests(compare([showcase(tmp_path)])), tmp_path))
    first = page.text[: page.text.index("21 of 23 runs")]
    states(first, "lora optim.lr=0.002", "partial", "full", "accuracy", "p = 0.41", "1.29 %", "0.68")
    assert "[0.940, 0.966]" in page.text


def test_single_examples_are_counted_and_set_side_by_side(tmp_path: Path) -> None:
    showcase(tmp_path)
    add_predictions(tmp_path, text=True)
    page = Page(report(compare([tmp_path]), tmp_path))
    (table,) = json.loads(page.scripts[0])["tables"]
    assert table["classes"]["rows"][0]["label"] == "full"
    assert sum(map(sum, table["classes"]["rows"][0]["counts"])) == 3 * 334
    assert re.search(r"\d+ of 334 ", page.text)
    assert "<b>text</b>" in page.text
    assert not [tag for tag, _ in page.elements if tag == "b"]


def test_each_row_says_how_to_make_it_again(tmp_path: Path) -> None:
    text = Page(report(compare([demo(tmp_path)]), tmp_path)).text
    for command in ("python train.py method=lora", "python train.py method=full", "python train.py method=prefix"):
        assert command in text
