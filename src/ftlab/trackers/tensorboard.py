"""TensorBoard tracker: curves, the HParams table of settings and main results, and all results as text."""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftlab.config.run_config import RunConfig
from ftlab.record import RunRecord
from ftlab.trackers import base, run_fields

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

_FOLDER = Path("logs", "tensorboard")


class Tracker(base.Tracker):
    """See `base.Tracker`."""

    package = "tensorboard"

    def start(self, config: RunConfig, record: RunRecord, directory: Path) -> "Logger":
        """See `base.Tracker`."""
        from lightning.pytorch.loggers import TensorBoardLogger

        self._config_fields = run_fields.config_fields(config, record)
        return TensorBoardLogger(save_dir=str(directory), name="logs", version="tensorboard", default_hp_metric=False)

    def finish(self, logger: Any, record: RunRecord, directory: Path) -> None:
        """See `base.Tracker`; a run that goes on later has no results yet, and TensorBoard keeps the first it reads."""
        fields = self._config_fields | run_fields.setup_fields(record)
        settings = {name: value for name, value in fields.items() if value is not None}
        logger.log_hyperparams(settings)  # into hparams.yaml
        if record.status not in ("interrupted", "paused", "timeout"):
            writer, shown = logger.experiment, run_fields.main_results(record)
            step = record.progress.step if record.progress else 0
            for name, value in shown.items():
                writer.add_scalar(f"{run_fields.VALUES}/{name}", value, step)
            for summary in _hparams_summaries(settings, list(shown)):
                writer.file_writer.add_summary(summary)
            writer.add_text("results", _markdown_table(run_fields.results(record)), step)
        logger.finalize("failed" if record.has_failed else "success")

    @classmethod
    def viewing_hint(cls, folder: Path) -> str | None:
        """See `base.Tracker`."""
        log_folders = [path.parent for path in folder.rglob("events.out.tfevents.*")]
        log_folders = [path for path in log_folders if path.parts[-2:] == _FOLDER.parts]
        if not log_folders:
            return None
        return f"TensorBoard has runs here: `tensorboard --logdir {shlex.quote(os.path.commonpath(log_folders))}`"


def _hparams_summaries(settings: Mapping[str, Any], metrics: Sequence[str]) -> list[Any]:
    """Return what the HParams table reads: its columns, the run's settings, and that the run is over.

    It shows five settings at first, those that are said to differ, and five metrics, the first ones.
    """
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
    from torch.utils.tensorboard.summary import hparams

    experiment = api_pb2.Experiment(
        hparam_infos=[
            api_pb2.HParamInfo(
                name=name,
                type=api_pb2.DATA_TYPE_STRING if isinstance(value, str) else api_pb2.DATA_TYPE_FLOAT64,
                differs=name in run_fields.MAIN_SETTINGS,
            )
            for name, value in settings.items()
        ],
        metric_infos=[
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=f"{run_fields.VALUES}/{name}"), display_name=name)
            for name in metrics
        ],
    )
    content = plugin_data_pb2.HParamsPluginData(experiment=experiment)
    columns = Summary.Value(tag=metadata.EXPERIMENT_TAG, metadata=metadata.create_summary_metadata(content))
    _, start, end = hparams(dict(settings), {})
    return [Summary(value=[columns]), start, end]


def _markdown_table(values: Mapping[str, Any]) -> str:
    """Return names and values as a table in Markdown."""
    rows = [f"| {name} | {str(value).replace('|', chr(92) + '|')} |" for name, value in values.items()]
    return "\n".join(["| result | value |", "| --- | --- |", *(row.replace("\n", " ") for row in rows)])
