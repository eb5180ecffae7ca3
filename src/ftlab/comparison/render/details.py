"""Details of one run for the report: the content of its record as pairs of name and text."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ftlab.comparison.formats import MISSING, format_count, format_percent, format_size, time_scale
from ftlab.comparison.settings import FlatConfig, flatten_config
from ftlab.comparison.stats.estimate import Estimate
from ftlab.comparison.tables import ComparedRun
from ftlab.record import EVAL, GENERATE, SETUP, TRAIN, Cost, RunRecord


def library_versions(record: RunRecord) -> str:
    """Return the library versions of a run on one line."""
    return ", ".join(f"{name} {version}" for name, version in sorted(record.versions.items()))


@dataclass(frozen=True)
class RunDetails:
    """What the page shows of one run, or of all its runs.

    Attributes:
        facts: name -> text.
        metrics: the same, of the metrics.
        settings: dotted key -> value.
        run: the run; None for what all runs share.
    """

    facts: dict[str, str]
    metrics: dict[str, str]
    settings: FlatConfig
    run: ComparedRun | None = None

    @property
    def config(self) -> str:
        """Return the settings as overrides, one per line."""
        return "\n".join(f"{key}={_value(value)}" for key, value in self.settings.items())


def details_of_runs(runs: Sequence[ComparedRun], directory: Path) -> tuple[RunDetails, list[RunDetails]]:
    """Return what all runs share, and each run's own details without it: a page of many runs stays small.

    Args:
        runs: of the page.
        directory: of the page; the runs' folders are given relative to it.
    """
    details = [run_details(run, directory) for run in runs]
    shared = RunDetails(_shared([item.facts for item in details]), {}, _shared([item.settings for item in details]))
    return shared, [
        replace(item, facts=_without(item.facts, shared.facts), settings=_without(item.settings, shared.settings))
        for item in details
    ]


def _shared(values: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the entries that are equal in all of several; nothing for a single one."""
    if len(values) < 2:
        return {}
    first, *others = values
    return {key: value for key, value in first.items() if all(key in other and other[key] == value for other in others)}


def _without(values: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in shared}


def run_details(run: ComparedRun, directory: Path) -> RunDetails:
    """Return the details of one run.

    Args:
        run: the run.
        directory: of the page; the run's folder is given relative to it.
    """
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
    if record.origin:
        facts["origin"] = str(record.origin)
    if hardware := record.hardware:
        facts["device"] = f"{hardware.devices} × {hardware.device}, precision {hardware.precision}"
        if hardware.cores:  # not told of an imported run
            facts["host"] = f"{hardware.cpu}, {hardware.cores} cores, {format_size(hardware.memory_bytes)} memory"
    if data := record.data:
        facts["data hash"] = data.hash
        facts["rows"] = _pairs(data.rows)
        facts["rows left out"] = _pairs(data.dropped)
        facts["labels"] = ", ".join(data.labels)
        if data.truncated_share is not None:
            facts["training rows cut to max_length"] = format_percent(data.truncated_share, 1)
        if data.unknown_token_share is not None:
            facts["unknown tokens"] = format_percent(data.unknown_token_share, 1)
    if parameters := record.parameters:
        facts["parameters"] = f"{parameters.trainable:,} trainable of {parameters.total:,}"
    if cost := record.cost:
        facts["time"] = f"set-up {cost.setup_s:.1f} s, training {cost.train_s:.1f} s, evaluation {cost.eval_s:.1f} s"
        facts["of this time"] = _phases_within(cost)
        facts["training seen"] = (
            f"{cost.optimizer_steps:,} optimizer steps, {format_count(cost.examples_seen)} examples, "
            f"{format_count(cost.tokens_seen)} tokens"
        )
        if cost.peak_memory_bytes is not None:
            peak = format_size(cost.peak_memory_bytes)
            before = MISSING if cost.baseline_memory_bytes is None else format_size(cost.baseline_memory_bytes)
            facts["memory"] = (
                f"peak {peak} ({cost.peak_memory_source}), {before} when training began, "
                f"base weights {format_size(cost.base_weight_bytes)}"
            )
        facts |= _optional_costs(cost)
    if run.tuning:
        facts["search of the learning rate"] = str(run.tuning)
    if predicted := record.predicted:
        facts["predicted"] = (
            f"peak {format_size(predicted.memory_bytes.peak)}{_error(run.memory_error)}, "
            f"training {_time(predicted.train_s)}{_error(run.time_error)}, from {predicted.probe_steps} steps"
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
    facts["versions"] = library_versions(record)
    present = {name: text for name, text in facts.items() if text}
    return RunDetails(present, metrics, flatten_config(record.config), run)


def _phases_within(cost: Cost) -> str:
    """Return the phases that were part of training or evaluation, with the speed of generation."""
    seconds = {name: value for name, value in cost.phases.items() if name not in (SETUP, TRAIN, EVAL)}
    texts = {name: f"{name} {value:.1f} s" for name, value in seconds.items()}
    if GENERATE in seconds and cost.generated_tokens is not None:
        texts[GENERATE] += f" for {cost.generated_tokens:,} tokens"
        if seconds[GENERATE]:
            texts[GENERATE] += f" ({cost.generated_tokens / seconds[GENERATE]:,.0f} tokens/s)"
    return ", ".join(texts.values())


def _optional_costs(cost: Cost) -> dict[str, str]:
    """Return FLOPs, energy and latency, if they were measured."""
    facts = {}
    if cost.training_flops is not None:
        facts["arithmetic of training"] = f"{cost.training_flops:.3g} FLOPs (estimated)"
    if cost.energy_joules is not None:
        facts["energy of training"] = f"{cost.energy_joules:,.0f} J ({cost.energy_joules / 3.6e6:.3g} kWh)"
    elif cost.energy_status != "not measured":
        facts["energy of training"] = f"{MISSING} ({cost.energy_status})"
    if latency := cost.latency:
        facts["latency"] = _latency(latency.single_example_s, latency.batched_s, latency.batch_size, latency.status)
        facts["latency, adapter merged"] = _latency(
            latency.merged_single_example_s, latency.merged_batched_s, latency.batch_size, latency.merged_status
        )
    return facts


def _latency(single_example_s: float | None, batched_s: float | None, batch_size: int | None, status: str) -> str:
    measurements = ((single_example_s, "for one example"), (batched_s, f"per example in batches of {batch_size}"))
    texts = [f"{1000 * seconds:.3g} ms {how}" for seconds, how in measurements if seconds is not None]
    return ", ".join(texts) or f"{MISSING} ({status})"


def _time(seconds: float) -> str:
    scale = time_scale([seconds])
    return f"{scale.format(Estimate(seconds, None, 1, 1))} {scale.unit}"


def _error(relative_error: float | None) -> str:
    return "" if relative_error is None else f" ({100 * relative_error:+.1f} % of the measured)"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value}" for name, value in values.items()
    )


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
