"""File names in a run's folder, shared by writers and readers; record.json is `FILE_NAME` of ftlab.record."""

from pathlib import Path

CONFIG = "config.yaml"  # a sweep writes it for every job before the first one starts
SECRETS = ".secrets.json"  # what is blanked in it, for the job alone, until that has ended
PREDICTIONS = "predictions.parquet"
VAL_PREDICTIONS = "val_predictions.parquet"  # of the best validation, with sweep.val_predictions
CURVES = "metrics.csv"
ADAPTER = "adapter"  # folder of the trained weights
PRUNED = "pruned"  # empty file, until the run has ended: it is to stop because its result is no longer needed
BEING_REMOVED = ".ftlab-removed-"  # begins the name that a run's folder gets before it is deleted; it is no run then


def relative_to_cwd(path: Path) -> Path:
    """Return a path below the working directory relative to that, as commands name it; another one as it is."""
    return path.relative_to(Path.cwd()) if Path.cwd() in path.parents else path
