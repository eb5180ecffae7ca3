"""HTML report of a comparison: one file that opens offline, with sortable tables, charts and run details."""

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from ftlab.comparison.render.answers import answers_side_by_side
from ftlab.comparison.render.charts import chart_data, method_styles
from ftlab.comparison.render.details import details_of_runs, library_versions
from ftlab.comparison.render.disagreements import disagreements
from ftlab.comparison.render.extra_tables import extra_tables
from ftlab.comparison.render.findings import findings
from ftlab.comparison.render.json_file import finite_values
from ftlab.comparison.render.main_table import Line, main_table
from ftlab.comparison.render.summary import commands, summary_sentences, title, versions
from ftlab.comparison.reproduce import reproduce_command, typed_commands
from ftlab.comparison.tables import ComparisonTables, Configuration, Table

_PACKAGE = "ftlab.comparison.render"
_PLOTLY = "vendor/plotly-basic.min.js"  # a quarter of the bundle in the wheel of plotly, which has every kind of chart
# in this order: first what the others share, last what starts them
_CHART_SCRIPTS = ("drawing.js", "cost.js", "curves.js", "margin.js", "tests.js", "classes.js", "start.js")


def report(comparison: ComparisonTables, directory: Path) -> str:
    """Return the text of report.html.

    Args:
        comparison: to show.
        directory: of the file; run folders are given relative to it.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape  # slow imports
    from markupsafe import Markup

    scripts = [_inline(_asset(name)) for name in ("table.js", _PLOTLY, *_CHART_SCRIPTS)]
    # with a single table, its findings are the first sentences of the summary
    lead = findings(comparison.tables[0]) if len(comparison.tables) == 1 else []
    shared, runs = details_of_runs(comparison.runs, directory)
    environment = Environment(
        loader=PackageLoader(_PACKAGE, "page"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(
        title=title(comparison),
        lead=lead,
        sentences=summary_sentences(comparison)[len(lead) :],
        created_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        tables=[_table_data(table, with_findings=not lead) for table in comparison.tables],
        notices=comparison.notices,
        failed=comparison.failed,
        shared=shared,
        runs=runs,
        styles=method_styles(comparison),
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
    """Return a script for a script element: no string in it ends the element, and line ends are LF.

    HTML parsers turn CR into LF, which would change the hash in the Content-Security-Policy.
    """
    return script.replace("\r\n", "\n").replace("</script", "<\\/script")


def _json(data: dict[str, Any]) -> str:
    """Return JSON that is safe inside a script element, whatever text it contains."""
    text = json.dumps(finite_values(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(scripts: Sequence[str]) -> str:
    """Return a Content-Security-Policy that allows no network access and only these scripts."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _table_data(table: Table, with_findings: bool) -> dict[str, Any]:
    """Return the template's data for one table, except for its charts."""
    content = main_table(table)
    return {
        "table": table,
        "main_table": content,
        "findings": findings(table) if with_findings else [],
        "methods": sorted({line.method for line in content.lines}),
        "statuses": sorted({_status(line) for line in content.lines}),
        "reproduction": [_reproduction(row) for row in table.rows],
        "extra_tables": extra_tables(table),
        "answers": answers_side_by_side(table),
        "disagreements": disagreements(table),
    }


def _status(line: Line) -> str:
    return "completed" if line.run is None else line.run.record.status


def _reproduction(row: Configuration) -> dict[str, Any]:
    """Return what is needed to reproduce a row: command, data, base model, versions."""
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
        "command": reproduce_command(row),
        "typed": typed_commands(row.runs),
        "facts": {name: text for name, text in facts.items() if text},
    }
