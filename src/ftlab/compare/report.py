"""report.html: one file that opens offline, with sortable tables, charts and every run's configuration."""

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from ftlab.compare.charts import chart_data, signs
from ftlab.compare.comparison import Comparison, Configuration, Table
from ftlab.compare.details import details, library_versions
from ftlab.compare.examples import disagreements
from ftlab.compare.reproduce import command, typed
from ftlab.compare.sheet import Line, sheet
from ftlab.compare.sides import sides
from ftlab.compare.summary import commands, sentences, title, versions
from ftlab.compare.verdict import verdict

_PACKAGE = "ftlab.compare"
# What they share first, what starts them last.
_CHARTS = ("drawing.js", "cost.js", "curves.js", "tests.js", "classes.js", "start.js")


def report(comparison: Comparison, directory: Path) -> str:
    """Return the HTML.

    Args:
        comparison: what is shown.
        directory: where the file will lie; run folders are given relative to it.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape  # slow: only when writing
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    scripts = [_inline(text) for text in (_asset("table.js"), get_plotlyjs(), *map(_asset, _CHARTS))]
    found = verdict(comparison.tables[0]) if len(comparison.tables) == 1 else []
    environment = Environment(
        loader=PackageLoader(_PACKAGE, "page"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(
        title=title(comparison),
        found=found,
        sentences=sentences(comparison)[len(found) :],
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        tables=[_shown(table, len(comparison.tables) > 1) for table in comparison.tables],
        notices=comparison.notices,
        failed=comparison.failed,
        runs=[details(run, directory) for run in comparison.rows],
        signs=signs(comparison),
        commands=commands(comparison),
        versions=versions(comparison),
        style=Markup(_asset("report.css")),
        scripts=[Markup(script) for script in scripts],
        data=Markup(_json(chart_data(comparison))),
        policy=_policy(scripts),
    )


def _asset(name: str) -> str:
    return files(_PACKAGE).joinpath("page", name).read_text(encoding="utf-8")


def _inline(script: str) -> str:
    """Keep a string in a script from ending the element; HTML reads CR as LF, which would change the hash."""
    return script.replace("\r\n", "\n").replace("</script", "<\\/script")


def _json(data: dict[str, Any]) -> str:
    """Return JSON that may stand in a script element, whatever text is in it."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(scripts: Sequence[str]) -> str:
    """Return a Content-Security-Policy: nothing is fetched, and only these scripts run."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _shown(table: Table, several: bool) -> dict[str, Any]:
    """Return what the page shows of one table beside its charts."""
    content = sheet(table)
    return {
        "table": table,
        "sheet": content,
        "verdict": verdict(table) if several else [],  # of one table the page's first paragraph says it
        "methods": sorted({line.method for line in content.lines}),
        "statuses": sorted({_status(line) for line in content.lines}),
        "rows": [_again(row) for row in table.rows],
        "sides": sides(table),
        "disagreements": disagreements(table),
    }


def _status(line: Line) -> str:
    return "completed" if line.run is None else line.run.record.status


def _again(row: Configuration) -> dict[str, Any]:
    """Return what it takes to make a row again: command, data, base model, versions."""
    records = [run.record for run in row.runs]
    first = records[0]
    base = first.base_model or {}
    facts = {
        "data hash": " and ".join(dict.fromkeys(record.data.hash for record in records if record.data)),
        "base model": " ".join(str(base[key]) for key in ("id", "sha256") if base.get(key)),
        "git": " and ".join(
            dict.fromkeys(str(record.git["commit"]) for record in records if record.git and record.git.get("commit"))
        ),
        "versions": " or ".join(dict.fromkeys(library_versions(record) for record in records)),
        "configuration": " ".join(record.config_hash for record in records),
    }
    return {
        "label": row.label,
        "method": row.method,
        "command": command(row),
        "typed": typed(row.runs),
        "facts": {name: text for name, text in facts.items() if text},
    }
