"""MLflow: a SQLite file in the sweep's folder, or the server that MLFLOW_TRACKING_URI names."""

import logging
import os
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from ftlab.errors import UserError
from ftlab.record import RunRecord
from ftlab.schema import RunConfig
from ftlab.trackers import base, facts, rows

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

_FILE = "mlflow.db"
_KEY = "ftlab.run"  # tag by which a run is found again


class Tracker(base.Tracker):
    """See `base.Tracker`."""

    package = "mlflow"
    extra = "mlflow"

    def require(self) -> None:
        """See `base.Tracker`; mlflow-skinny alone has no SQLite."""
        super().require()
        if not os.environ.get("MLFLOW_TRACKING_URI") and not (find_spec("sqlalchemy") and find_spec("alembic")):
            raise UserError(
                'tracker=mlflow keeps a SQLite file, which needs SQLAlchemy: run `pip install "ftlab[mlflow]"`, or set '
                "MLFLOW_TRACKING_URI to a server."
            )

    def start(self, config: RunConfig, record: RunRecord, directory: Path) -> "Logger":
        """See `base.Tracker`."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        for name in ("mlflow", "alembic", "lightning.pytorch.loggers.mlflow"):
            logging.getLogger(name).setLevel(logging.ERROR)
        from lightning.pytorch.loggers import MLFlowLogger
        from mlflow.tracking import MlflowClient

        sweep = directory.resolve().parent
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{sweep / _FILE}"
        with FileLock(sweep / f".{_FILE}.lock"):  # jobs of a sweep begin at once, and one of them makes the tables
            client, key = MlflowClient(uri), facts.run_key(record)
            experiment = client.get_experiment_by_name(self.settings.project)
            place = None if uri.startswith("http") else (sweep / "mlartifacts").as_uri()
            number = (
                experiment.experiment_id
                if experiment
                else client.create_experiment(self.settings.project, artifact_location=place)
            )
            found = client.search_runs([number], f"tags.`{_KEY}` = '{key}'")
            if found:
                run = found[0]
                client.update_run(run.info.run_id, status="RUNNING")
            else:
                tags = {_KEY: key, "mlflow.runName": facts.run_name(record), "group": record.sweep or ""}
                run = client.create_run(number, tags={**tags, **dict.fromkeys(self.settings.tags, "true")})
        logger = MLFlowLogger(self.settings.project, tracking_uri=uri, run_id=run.info.run_id)
        logger.log_hyperparams(facts.settings(config, record))
        return logger

    def finish(self, logger: Any, record: RunRecord, directory: Path) -> None:
        """See `base.Tracker`."""
        client, run = logger.experiment, logger.run_id
        try:
            known = client.get_run(run).data.params
            logger.log_hyperparams({name: value for name, value in facts.findings(record).items() if name not in known})
            logger.log_metrics(facts.numbers(record), step=record.progress.step if record.progress else None)
            client.set_tag(run, "status", record.status)
            # not as record.json: a file of that name in the sweep's folder would be one more run of it
            client.log_dict(run, record.model_dump(mode="json"), "ftlab_record.json")
            if found := rows.predictions(directory):
                client.log_dict(run, {"columns": found[0], "data": found[1]}, "predictions.json")
        finally:
            logger.finalize("success" if record.status == "completed" else "failed")

    @classmethod
    def shown(cls, folder: Path) -> str | None:
        """See `base.Tracker`."""
        found = sorted(folder.rglob(_FILE))
        if not found:
            return None
        commands = " or ".join(f"`mlflow ui --backend-store-uri {shlex.quote(f'sqlite:///{path}')}`" for path in found)
        return f"MLflow has runs here: {commands} (of the package mlflow)"
