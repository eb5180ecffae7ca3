"""Run records made of the results of huggingface/peft's method_comparison."""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from ftlab.core.atomic import building
from ftlab.core.errors import UserError
from ftlab.importers.peft_results import Measurements, PeftResult, PublishedResults, ResultFile
from ftlab.record import (
    Cost,
    Failure,
    Hardware,
    Metric,
    MetricColumn,
    Origin,
    Parameters,
    RunRecord,
    Status,
    Tool,
)

_TOOL = "huggingface/peft method_comparison"
_TASK = "generation"  # of text or images; the metrics are the benchmark's own
_TEST_ROWS = {"gsm8k": 1319}  # data set -> rows of its test split, which the files do not say
_COLUMNS = (
    MetricColumn(metric="accuracy", label="accuracy", higher_is_better=True),
    MetricColumn(metric="dino_similarity", label="DINO similarity", higher_is_better=True),
)
_MORE_COLUMNS = (  # what these measure was changed between campaigns, under the same name
    MetricColumn(metric="forgetting", label="forgetting", higher_is_better=False),
    MetricColumn(metric="drift", label="drift", higher_is_better=False),
)
_WEIGHT_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}
_CAMPAIGN_SEEDS = 1000  # distance of the seeds that stand for two campaigns
_MAX_NAME = 100  # characters of a folder's name

_NO_PREDICTIONS = (
    "imported: no predictions of single examples are published, so tests are over seeds alone, and one run of each row "
    "gives none."
)

Settings = dict[str, dict[str, Any]]  # group -> setting -> value


def import_results(results: PublishedResults, directory: Path, *, reruns_as_seeds: bool = False) -> list[Path]:
    """Write a run folder for each result: all of them, or none after an error or a kill.

    Args:
        results: of one or more campaigns.
        directory: the folder to create.
        reruns_as_seeds: whether a rerun of a later campaign counts as another seed. Otherwise it has the seed that its
            file tells, and a comparison keeps only the newest run of each seed. With it, forgetting and drift are left
            out: means over campaigns would mix what was measured in different ways.

    Returns:
        The run folders.

    Raises:
        UserError: the folder exists and is not empty, or a seed is too large to be told from that of a campaign.
        OSError: a file cannot be written.
    """
    if directory.is_symlink() or (directory.exists() and (not directory.is_dir() or any(directory.iterdir()))):
        raise UserError(f"{directory} exists already: give a new or empty folder.")
    records = result_records(results.files, directory.name, reruns_as_seeds=reruns_as_seeds)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with building(directory) as folder:
        folder.mkdir()
        for record in records:
            record.write(folder / record.run_id.removeprefix(f"{directory.name}/"), durably=False)
    return [directory / record.run_id.removeprefix(f"{directory.name}/") for record in records]


def result_records(files: Sequence[ResultFile], sweep: str, *, reruns_as_seeds: bool = False) -> list[RunRecord]:
    """Return the record of each result; see `import_results`.

    Args:
        files: the results.
        sweep: name of the folder that the runs are to be in.
        reruns_as_seeds: see there.
    """
    settings = _common_settings(files)
    columns = _COLUMNS if reruns_as_seeds else (*_COLUMNS, *_MORE_COLUMNS)
    names: set[str] = set()
    records = []
    for file, of_run in zip(files, settings, strict=True):
        seed = file.result.run_info.train_config.seed
        if reruns_as_seeds:
            if seed >= _CAMPAIGN_SEEDS:
                raise UserError(
                    f"{file.path}: run_info.train_config.seed is {seed}, and with --reruns-as-seeds it must be below "
                    f"{_CAMPAIGN_SEEDS}: import without that option."
                )
            seed += _CAMPAIGN_SEEDS * file.campaign
        name = _folder_name(f"{file.result.run_info.experiment_name}-s{seed}", names)
        records.append(_record(file, of_run, seed, f"{sweep}/{name}", sweep, columns))
    return records


def _folder_name(text: str, taken: set[str]) -> str:
    """Return a name for a folder that no other run has: of ASCII letters and digits, whatever a file says."""
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-")[-_MAX_NAME:].lstrip(".-") or "run"
    name, number = base, 1
    while name.lower() in taken:  # some file systems know no case
        number += 1
        name = f"{base}-{number}"
    taken.add(name.lower())
    return name


def _common_settings(files: Sequence[ResultFile]) -> list[Settings]:
    """Return the settings of each run, without those that some runs of its experiment do not tell.

    A later version of PEFT writes settings that an earlier one does not have; that is no difference between runs.
    """
    all_settings = [_settings(file.result) for file in files]
    keys: dict[str, set[tuple[str, str]]] = {}
    for file, settings in zip(files, all_settings, strict=True):
        of_run = {(group, key) for group, values in settings.items() for key in values}
        name = file.result.run_info.experiment_name
        keys[name] = keys.get(name, of_run) & of_run
    return [
        {
            group: {key: value for key, value in values.items() if (group, key) in keys[name]}
            for group, values in settings.items()
        }
        for settings, name in zip(all_settings, (file.result.run_info.experiment_name for file in files), strict=True)
    ]


def _settings(result: PeftResult) -> Settings:
    """Return the settings of a run, named as ftlab names them where it has the same ones."""
    config, peft = result.run_info.train_config, dict(result.run_info.peft_config or {"peft_type": "full"})
    peft.pop("peft_version", None)  # is among the versions
    if peft.get("peft_type") == "ADALORA":
        peft.pop("rank_pattern", None)  # is a result of training
    return {
        "model": {"name": config.model_id, "dtype": config.dtype},
        "budget": {"steps": config.max_steps, "max_length": config.max_seq_length},
        "optim": {
            **_sorted_lists(config.optimizer_kwargs),
            "name": config.optimizer_type,
            "batch_size": config.batch_size,
            "scheduler": config.lr_scheduler,
        },
        "training": _sorted_lists(config.model_extra or {}),
        "method": _sorted_lists(peft),
    }


def _sorted_lists(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with lists of texts sorted: PEFT writes sets, whose order differs from run to run."""
    return {
        key: sorted(value) if isinstance(value, list) and all(isinstance(item, str) for item in value) else value
        for key, value in values.items()
    }


def _record(
    file: ResultFile, settings: Settings, seed: int, run_id: str, sweep: str, columns: Sequence[MetricColumn]
) -> RunRecord:
    result = file.result
    run, train, meta = result.run_info, result.train_info, result.meta_info
    versions = {
        name.removesuffix("-version"): version
        for name, version in meta.package_info.items()
        if name.endswith("-version") and version
    }
    commits = result.dataset_commits
    rows = _test_rows(result)
    warnings = [_NO_PREDICTIONS]
    if seed != run.train_config.seed:
        warnings.append(
            f"imported: seed {seed} stands for a rerun with seed {run.train_config.seed} and other software, so the "
            "scatter over seeds is that of reruns, their shift from one campaign to the next included."
        )
    identity = json.dumps([settings, run.train_config.seed], sort_keys=True)
    status = _status(result)
    return RunRecord(
        run_id=run_id,
        status=status,
        method=run.experiment_name,
        model=run.train_config.model_id,
        dataset=run.train_config.dataset_id or "+".join(commits) or "unknown",
        task=_TASK,
        predicts="other",
        seed=seed,
        config={**settings, "imported": {"file": file.path.name, "campaign": str(file.path.parent)}},
        determinants={**settings},
        config_hash=hashlib.sha256(identity.encode()).hexdigest(),
        sweep=sweep,
        started_at=run.created_at.isoformat(),
        finished_at=(run.created_at + timedelta(seconds=run.total_time)).isoformat(timespec="seconds"),
        failure=None if status == "completed" else Failure(type=train.status, message=run.error_msg or "not told"),
        # commits of the data are told, not compared: one can change what is written about the data alone
        versions=versions | {f"data {name}": commit for name, commit in commits.items()},
        base_model={"id": run.train_config.model_id, "revision": (meta.model_info or {}).get("sha")},
        origin=Origin(kind="foreign", tool=Tool(name=_TOOL, version=versions.get("peft"))),
        hardware=_hardware(result),
        parameters=_parameters(result),
        metrics={_TASK: {"test": _metrics(train.test, rows, columns)}},
        columns=[column for column in columns if getattr(train.test, column.metric) is not None],
        cost=_cost(result),
        warnings=warnings,
    )


def _status(result: PeftResult) -> Status:
    """Return the status; the benchmark calls a run that ran out of memory canceled, as one that was stopped by hand."""
    if result.train_info.status == "success":
        return "completed"
    message = (result.run_info.error_msg or "").lower()
    if "out of memory" in message:
        return "oom"
    return "interrupted" if message == "manually canceled" else "failed"


def _test_rows(result: PeftResult) -> int:
    """Return the number of test rows; 0 if it is not known, or the accuracy is no count of that many."""
    accuracy = result.train_info.test.accuracy
    for name, rows in _TEST_ROWS.items():
        if name in result.dataset_commits and accuracy is not None and math.isfinite(accuracy):
            right = accuracy * rows
            return rows if abs(right - round(right)) < 1e-6 else 0
    return 0


def _metrics(test: Measurements, rows: int, columns: Sequence[MetricColumn]) -> dict[str, Metric]:
    metrics = {}
    for column in columns:
        value: float | None = getattr(test, column.metric)
        if value is None:
            continue
        n = rows if column.metric == "accuracy" else 0
        is_finite = math.isfinite(value)
        metrics[column.metric] = Metric(
            value=value if is_finite else None, n=n, status="ok" if is_finite else f"the file says {value}"
        )
    return metrics


def _hardware(result: PeftResult) -> Hardware | None:
    system, config = result.meta_info.system_info, result.run_info.train_config
    if system.accelerator is None:
        return None
    return Hardware(
        device=system.accelerator,
        accelerator="gpu",
        devices=1,
        precision=f"{config.dtype or 'unknown'}{', mixed' if config.use_amp else ''}",
        cpu=system.processor or "unknown",
        cores=0,  # not told, as the memory
        memory_bytes=0,
    )


def _parameters(result: PeftResult) -> Parameters | None:
    train = result.train_info
    if train.num_trainable_params is None or train.num_total_params is None:
        return None
    return Parameters(trainable=train.num_trainable_params, total=train.num_total_params, adapter_bytes=train.file_size)


def _cost(result: PeftResult) -> Cost | None:
    """Return time and memory; the file's `train_time` counts the test, so the steps' own seconds are added up here."""
    train, config = result.train_info, result.run_info.train_config
    if train.status != "success":
        return None
    train_s = math.fsum(measured.train_s for measured in train.metrics) or train.train_time
    eval_s = math.fsum(measured.eval_s for measured in train.metrics) + max(0.0, train.train_time - train_s)
    frozen = (train.num_total_params or 0) - (train.num_trainable_params or 0 if result.run_info.peft_config else 0)
    examples, tokens = train.test.examples, train.test.tokens
    return Cost(
        setup_s=max(0.0, result.run_info.total_time - train_s - eval_s),
        train_s=train_s,
        eval_s=eval_s,
        optimizer_steps=config.max_steps,
        examples_seen=examples,
        tokens_seen=tokens,
        examples_per_s=examples / train_s if examples and train_s else None,
        tokens_per_s=tokens / train_s if tokens and train_s else None,
        peak_memory_bytes=train.peak_memory_bytes,
        baseline_memory_bytes=None,
        peak_memory_source="published: reserved by PyTorch, with validations and test",
        base_weight_bytes=frozen * _WEIGHT_BYTES.get(config.dtype or "", 0),
    )
