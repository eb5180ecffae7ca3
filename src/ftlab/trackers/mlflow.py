"""MLflow tracker: logs to a SQLite file in the sweep's folder, or to the server that MLFLOW_TRACKING_URI names."""

import logging
import os
import shlex
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from ftlab.config.run_config import RunConfig
from ftlab.core.errors import UserError
from ftlab.record import RunRecord
from ftlab.trackers import base, run_fields, tables

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

_FILE = "mlflow.db"
_RUN_KEY_TAG = "ftlab.run"  # tag with the run's key, by which a resumed run finds its MLflow run


class Tracker(base.Tracker):
    """See `base.Tracker`."""

    package = "mlflow"
    extra = "mlflow"

    def require(self) -> None:
        """See `base.Tracker`; mlflow-skinny alone does not support SQLite."""
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
        project = self.tracker_config.project
        with FileLock(sweep / f".{_FILE}.lock"):  # jobs of a sweep start together, but only one may create the tables
            client, key = MlflowClient(uri), run_fields.run_key(record)
            if experiment := client.get_experiment_by_name(project):
                experiment_id = experiment.experiment_id
            else:
                artifacts = None if uri.startswith("http") else (sweep / "mlartifacts").as_uri()
                experiment_id = client.create_experiment(project, artifact_location=artifacts)
            earlier_attempts = client.search_runs([experiment_id], f"tags.`{_RUN_KEY_TAG}` = '{key}'")
            if earlier_attempts:
                run = earlier_attempts[0]
                client.update_run(run.info.run_id, status="RUNNING")
            else:
                tags = {_RUN_KEY_TAG: key, "mlflow.runName": run_fields.run_name(record), "group": record.sweep or ""}
                tags |= dict.fromkeys(self.tracker_config.tags, "true")
                run = client.create_run(experiment_id, tags=tags)
        logger = MLFlowLogger(project, tracking_uri=uri, run_id=run.info.run_id)
        logger.log_hyperparams(run_fields.config_fields(config, record))
        return logger

    def finish(self, logger: Any, record: RunRecord, directory: Path) -> None:
        """See `base.Tracker`."""
        client, run = logger.experiment, logger.run_id
        try:
            logged = client.get_run(run).data.params
            # of one point each: metrics are drawn as charts, and parameters are columns of the table of runs
            shown = run_fields.main_results(record)
            fields = run_fields.setup_fields(record)
            if record.status == "completed":  # a later attempt cannot change a parameter
                results = run_fields.results(record)
                fields |= {name: value for name, value in results.items() if name not in shown and value is not None}
            logger.log_hyperparams({name: value for name, value in fields.items() if name not in logged})
            step = record.progress.step if record.progress else None
            logger.log_metrics({f"{run_fields.VALUES}/{name}": value for name, value in shown.items()}, step=step)
            client.set_tag(run, "status", record.status)
            # not as record.json: a file of that name below the sweep's folder would count as one more run
            client.log_dict(run, record.model_dump(mode="json"), "ftlab_record.json")
            if predictions := tables.predictions_table(directory):
                headings, rows = predictions
                client.log_dict(run, {"columns": headings, "data": rows}, "predictions.json")
        finally:
            logger.finalize("failed" if record.has_failed else "success")

    @classmethod
    def viewing_hint(cls, folder: Path) -> str | None:
        """See `base.Tracker`."""
        databases = sorted(folder.rglob(_FILE))
        if not databases:
            return None
        uris = [shlex.quote(f"sqlite:///{path.resolve()}") for path in databases]
        commands = " or ".join(f"`{_ui_command()} --backend-store-uri {uri}`" for uri in uris)
        return f"MLflow has runs here: {commands}"


def _ui_command() -> str:
    """Return the command that shows MLflow's pages, which the extra's mlflow-skinny does not have.

    The whole package needs an older pyarrow than ftlab installs, so it runs in an environment of its own.
    """
    if _installed_version("mlflow"):
        return "mlflow ui"
    skinny = _installed_version("mlflow-skinny")
    return f"uvx mlflow@{skinny} ui" if skinny else "uvx mlflow ui"


def _installed_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
