"""report.html: one file that opens offline, with sortable tables, charts and every run's configuration."""

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from ftlab.compare.charts import chart_data, signs
from ftlab.compare.comparison import Comparison, Run
from ftlab.compare.formats import MISSING, count, share, size
from ftlab.compare.settings import flatten
from ftlab.compare.sheet import sheet
from ftlab.compare.summary import commands, sentences, title, versions

_PACKAGE = "ftlab.compare"


def report(comparison: Comparison, directory: Path) -> str:
    """Return the HTML.

    Args:
        comparison: what is shown.
        directory: where the file will lie; run folders are given relative to it.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape  # slow: only when writing
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    scripts = [_inline(text) for text in (_asset("sorting.js"), get_plotlyjs(), _asset("charts.js"))]
    environment = Environment(
        loader=PackageLoader(_PACKAGE, ""),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(
        title=title(comparison),
        sentences=sentences(comparison),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        tables=[(table, sheet(table)) for table in comparison.tables],
        notices=comparison.notices,
        failed=comparison.failed,
        runs=[_details(run, directory) for run in comparison.rows],
        signs=signs(comparison),
        commands=commands(comparison),
        versions=versions(comparison),
        style=Markup(_asset("report.css")),
        scripts=[Markup(script) for script in scripts],
        data=Markup(_json(chart_data(comparison))),
        policy=_policy(scripts),
    )


def _asset(name: str) -> str:
    return files(_PACKAGE).joinpath(name).read_text(encoding="utf-8")


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


def _details(run: Run, directory: Path) -> dict[str, Any]:
    """Return everything the record says about one run, as pairs of name and text."""
    record = run.record
    facts = {
        "folder": Path(os.path.relpath(run.folder, directory)).as_posix(),
        "run id": record.run_id,
        "started": record.started_at,
        "finished": record.finished_at,
        "configuration hash": record.config_hash,
        "fingerprint": record.fingerprint,
    }
    if git := record.git:
        facts["git"] = f"{git.get('commit') or 'no commit'}{', with uncommitted changes' if git.get('dirty') else ''}"
    if record.base_model:
        facts["base model"] = _pairs(record.base_model)
    if hardware := record.hardware:
        facts["device"] = f"{hardware.devices} × {hardware.device}, precision {hardware.precision}"
        facts["host"] = f"{hardware.cpu}, {hardware.cores} cores, {size(hardware.memory_bytes)} memory"
    if data := record.data:
        facts["data hash"] = data.hash
        facts["rows"] = _pairs(data.rows)
        facts["rows left out"] = _pairs(data.dropped)
        facts["labels"] = ", ".join(data.labels)
        if data.truncated_share is not None:
            facts["training rows cut to max_length"] = share(data.truncated_share, 1)
        if data.unknown_token_share is not None:
            facts["unknown tokens"] = share(data.unknown_token_share, 1)
    if parameters := record.parameters:
        facts["parameters"] = f"{parameters.trainable:,} trainable of {parameters.total:,}"
    if cost := record.cost:
        facts["time"] = f"set-up {cost.setup_s:.1f} s, training {cost.train_s:.1f} s, evaluation {cost.eval_s:.1f} s"
        facts["training seen"] = (
            f"{cost.optimizer_steps:,} optimizer steps, {count(cost.examples_seen)} examples, "
            f"{count(cost.tokens_seen)} tokens"
        )
        if cost.peak_memory_bytes is not None:
            before = MISSING if cost.baseline_memory_bytes is None else size(cost.baseline_memory_bytes)
            facts["memory"] = (
                f"peak {size(cost.peak_memory_bytes)} ({cost.peak_memory_source}), {before} when training began, "
                f"base weights {size(cost.base_weight_bytes)}"
            )
    metrics = {
        f"{split} {name}" if len(record.metrics) == 1 else f"{task} {split} {name}": (
            f"{MISSING} ({metric.status})"
            if metric.value is None
            else f"{metric.value:.6g} (n = {metric.n:,}{f'; {metric.signature}' if metric.signature else ''})"
        )
        for task, splits in record.metrics.items()
        for split, values in splits.items()
        for name, metric in values.items()
    }
    return {
        "run": run,
        "facts": {name: text for name, text in facts.items() if text},
        "metrics": metrics,
        "versions": ", ".join(f"{name} {version}" for name, version in sorted(record.versions.items())),
        "config": "\n".join(f"{key}={_value(value)}" for key, value in flatten(record.config).items()),
    }


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value}" for name, value in values.items()
    )


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
