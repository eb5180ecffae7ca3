"""Weights & Biases tracker, offline by default: a sweep is a group, and its comparison is one more run in the group."""

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftlab.comparison import ComparisonTables
from ftlab.config.groups import MAX_TAG_LENGTH
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import UserError
from ftlab.record import FILE_NAME, RunRecord
from ftlab.trackers import base, run_fields, tables

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

COMPARISON = "comparison"  # job type of the comparison's run and type of its artifact
_UPLOAD_TIMEOUT_S = 600  # at the end of an online run: what is not uploaded by then stays in RUN/logs
_MAX_NAME_LENGTH = 128  # of a run, a group or an artifact


class Tracker(base.Tracker):
    """See `base.Tracker`."""

    package = "wandb"

    def require(self) -> None:
        """See `base.Tracker`; online mode also needs an account."""
        super().require()
        if self.tracker_config.mode == "online" and not has_api_key():
            raise UserError(
                "tracker=wandb_online needs an account: run `wandb login` or set WANDB_API_KEY, or use tracker=wandb."
            )

    def start(self, config: RunConfig, record: RunRecord, directory: Path) -> "Logger":
        """See `base.Tracker`."""
        from lightning.pytorch.loggers import WandbLogger

        names = (record.method, record.model, record.dataset)
        run = self._init(
            directory / "logs",
            id=run_fields.run_key(record),
            name=run_fields.run_name(record)[-_MAX_NAME_LENGTH:],
            group=record.sweep,
            job_type=record.method if record.role == "run" else record.role,
            # a path that is too long keeps its end, which tells more
            tags=[*dict.fromkeys([*(name[-MAX_TAG_LENGTH:] for name in names), *self.tracker_config.tags])],
            config={**run_fields.config_fields(config, record), "config": record.config},
        )
        run.define_metric("trainer/global_step", hidden=True)
        run.define_metric("*", step_metric="trainer/global_step")
        return WandbLogger(experiment=run)

    def finish(self, logger: Any, record: RunRecord, directory: Path) -> None:
        """See `base.Tracker`."""
        run = logger.experiment
        try:
            run.config.update(run_fields.setup_fields(record), allow_val_change=True)
            if predictions := tables.predictions_table(directory):
                run.log({"predictions": _wandb_table(predictions)})
            run.summary.update(run_fields.results(record))
        finally:
            run.finish(exit_code=1 if record.has_failed else 0)

    def publish(self, comparison: ComparisonTables, directory: Path, paths: Sequence[Path]) -> None:
        """Log the comparison's table, the examples on which methods disagree, and an artifact of files and records."""
        import wandb

        runs = comparison.runs
        sweep, started_at = directory.resolve().name, min(run.record.started_at for run in runs)
        comparison_run = self._init(
            directory / "logs",
            id=hashlib.sha256(f"{sweep} {started_at} {COMPARISON}".encode()).hexdigest()[:16],
            name=f"{COMPARISON}-{sweep}"[:_MAX_NAME_LENGTH],
            group=sweep,
            job_type=COMPARISON,
            tags=[COMPARISON, *self.tracker_config.tags],
            config={
                "sweep": sweep,
                "methods": sorted({run.record.method for run in runs}),
                "datasets": sorted({run.record.dataset for run in runs}),
                "base_models": sorted({run.record.model for run in runs}),
            },
        )
        try:
            logged = {COMPARISON: tables.comparison_table(comparison)}
            for number, table in enumerate(comparison.tables, 1):
                # one per table of the comparison, as its columns are the configurations
                if disagreements := tables.disagreements_table(table):
                    suffix = f"_{number}" if len(comparison.tables) > 1 else ""
                    logged[f"disagreements{suffix}"] = disagreements
            comparison_run.log({name: _wandb_table(data) for name, data in logged.items()})
            comparison_run.summary.update(
                {
                    "runs": len(runs),
                    "completed": sum(run.completed for run in runs),
                    "failed": len(comparison.failed),
                    "warnings": len(comparison.warnings),
                }
            )
            artifact = wandb.Artifact(
                re.sub(r"[^\w.-]+", "_", f"{COMPARISON}-{sweep}", flags=re.ASCII)[:_MAX_NAME_LENGTH], type=COMPARISON
            )
            for path in paths:
                artifact.add_file(str(path), name=path.name)
            for run in runs:
                artifact.add_file(str(run.folder / FILE_NAME), name=f"records/{run.folder.name}.json")
            comparison_run.log_artifact(artifact)
        finally:
            comparison_run.finish()

    @classmethod
    def viewing_hint(cls, folder: Path) -> str | None:
        """See `base.Tracker`; None as `ftlab sync` lists W&B's runs itself."""
        return None

    def _init(self, logs: Path, **arguments: Any) -> Any:
        import wandb  # takes a second, so only runs that are tracked by it import it

        logs.mkdir(parents=True, exist_ok=True)
        return wandb.init(
            project=self.tracker_config.project,
            entity=self.tracker_config.entity,
            mode=self.tracker_config.mode,
            dir=str(logs),
            resume="allow",
            # The record has the commit and the output. W&B would also upload a patch of the working tree.
            settings=wandb.Settings(
                silent=True, console="off", disable_git=True, disable_code=True, finish_timeout=_UPLOAD_TIMEOUT_S
            ),
            **arguments,
        )


def _wandb_table(data: tables.TableData) -> Any:
    import wandb

    headings, rows = data
    return wandb.Table(columns=list(headings), data=rows)


def has_api_key() -> bool:
    """Return whether there is an API key of W&B, from the environment or from `wandb login`."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    import wandb

    return wandb.login(prompt=False, verify=False)
