"""Weights & Biases, offline unless told otherwise: a sweep is a group, and its comparison a run of its own in it."""

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftlab.compare import Comparison
from ftlab.errors import UserError
from ftlab.groups import LONGEST_TAG
from ftlab.record import FILE_NAME, RunRecord
from ftlab.schema import RunConfig
from ftlab.trackers import base, facts, rows

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

COMPARISON = "comparison"  # type of the comparison's run and of its artifact
_PATIENCE_S = 600  # at the end of an online run: what has not arrived by then stays in RUN/logs
_LONGEST_NAME = 128  # of a run, a group or an artifact


class Tracker(base.Tracker):
    """See `base.Tracker`."""

    package = "wandb"

    def require(self) -> None:
        """See `base.Tracker`; online an account is needed too."""
        super().require()
        if self.settings.mode == "online" and not has_key():
            raise UserError(
                "tracker=wandb_online needs an account: run `wandb login` or set WANDB_API_KEY, or use tracker=wandb."
            )

    def start(self, config: RunConfig, record: RunRecord, directory: Path) -> "Logger":
        """See `base.Tracker`."""
        from lightning.pytorch.loggers import WandbLogger

        names = (record.method, record.model, record.dataset)
        run = self._init(
            directory / "logs",
            id=facts.run_key(record),
            name=facts.run_name(record)[-_LONGEST_NAME:],
            group=record.sweep,
            job_type=record.method if record.role == "run" else record.role,
            # of a long path the end says more
            tags=[*dict.fromkeys([*(name[-LONGEST_TAG:] for name in names), *self.settings.tags])],
            config={**facts.settings(config, record), "config": record.config},
        )
        run.define_metric("trainer/global_step", hidden=True)
        run.define_metric("*", step_metric="trainer/global_step")
        return WandbLogger(experiment=run)

    def finish(self, logger: Any, record: RunRecord, directory: Path) -> None:
        """See `base.Tracker`."""
        run = logger.experiment
        try:
            run.config.update(facts.findings(record), allow_val_change=True)
            if found := rows.predictions(directory):
                run.log({"predictions": _table(found)})
            run.summary.update(facts.results(record))
        finally:
            run.finish(exit_code=0 if record.status == "completed" else 1)

    def publish(self, comparison: Comparison, directory: Path, paths: Sequence[Path]) -> None:
        """Log the comparison's table, where methods disagree, and its files and records as an artifact."""
        import wandb

        runs = comparison.rows
        sweep, begun = directory.resolve().name, min(run.record.started_at for run in runs)
        run = self._init(
            directory / "logs",
            id=hashlib.sha256(f"{sweep} {begun} {COMPARISON}".encode()).hexdigest()[:16],
            name=f"{COMPARISON}-{sweep}"[:_LONGEST_NAME],
            group=sweep,
            job_type=COMPARISON,
            tags=[COMPARISON, *self.settings.tags],
            config={
                "sweep": sweep,
                **{f"{name}s": sorted({getattr(one.record, name) for one in runs}) for name in ("method", "dataset")},
                "base_models": sorted({one.record.model for one in runs}),
            },
        )
        try:
            logged = {COMPARISON: rows.compared(comparison)}
            for number, table in enumerate(comparison.tables):
                if found := rows.disagreements(table):  # a table each: the columns are the table's methods
                    logged["disagreements" + (f"_{number + 1}" if len(comparison.tables) > 1 else "")] = found
            run.log({name: _table(found) for name, found in logged.items()})
            run.summary.update(
                {
                    "runs": len(runs),
                    "completed": sum(one.completed for one in runs),
                    "failed": len(comparison.failed),
                    "warnings": len(comparison.warnings),
                }
            )
            artifact = wandb.Artifact(
                re.sub(r"[^\w.-]+", "_", f"{COMPARISON}-{sweep}", flags=re.ASCII)[:_LONGEST_NAME], type=COMPARISON
            )
            for path in paths:
                artifact.add_file(str(path), name=path.name)
            for one in runs:
                artifact.add_file(str(one.folder / FILE_NAME), name=f"records/{one.folder.name}.json")
            run.log_artifact(artifact)
        finally:
            run.finish()

    @classmethod
    def shown(cls, folder: Path) -> str | None:
        """See `base.Tracker`; `ftlab sync` itself speaks of these."""
        return None

    def _init(self, logs: Path, **arguments: Any) -> Any:
        import wandb  # takes a second, and only runs tracked by it need to wait for it

        logs.mkdir(parents=True, exist_ok=True)
        return wandb.init(
            project=self.settings.project,
            entity=self.settings.entity,
            mode=self.settings.mode,
            dir=str(logs),
            resume="allow",
            # the record has commit and output; a patch of the working tree would leave this machine unasked
            settings=wandb.Settings(
                silent=True, console="off", disable_git=True, disable_code=True, finish_timeout=_PATIENCE_S
            ),
            **arguments,
        )


def _table(found: rows.Rows) -> Any:
    import wandb

    return wandb.Table(columns=list(found[0]), data=found[1])


def has_key() -> bool:
    """Whether there is an API key of W&B, from the environment or from `wandb login`."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    import wandb

    return wandb.login(prompt=False, verify=False)
