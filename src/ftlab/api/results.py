"""Runs and sweeps, read from their folders, with tables, predictions and learning curves as data frames of pandas."""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftlab.comparison.build import compare_records, read_records
from ftlab.comparison.render.csv_file import run_rows
from ftlab.comparison.settings import flatten_config
from ftlab.core.errors import UserError, did_you_mean, reason
from ftlab.record import RunRecord, read_record, run_folder
from ftlab.record.folder import CURVES, PREDICTIONS, VAL_PREDICTIONS, relative_to_cwd
from ftlab.record.reading import require_file

if TYPE_CHECKING:
    import pandas as pd

_OWNER = ["dataset", "model", "method", "seed", "run"]  # columns of comparison.csv that say which run it is
_MOST_STEPS = 2**53  # whole numbers of a float

StrPath = str | os.PathLike[str]  # a path as text or as pathlib has it; also a Run or a Sweep


@dataclass(frozen=True, repr=False)
class Run:
    """One run, read from its folder. It is path-like: it can be given wherever a run's folder can.

    Attributes:
        directory: its folder, an absolute path.
        record: its record.json when it was loaded: settings, metrics, cost, checks.
    """

    directory: Path
    record: RunRecord

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.directory.name

    @property
    def status(self) -> str:
        """`completed`, or how far it got: running, paused, pruned, failed, oom, timeout, interrupted."""
        return self.record.status

    @property
    def config(self) -> dict[str, Any]:
        """The settings that it ran with, nested by group."""
        return self.record.config

    @property
    def metrics(self) -> dict[str, float]:
        """Test metrics that have a value, name -> value; those of a mixture's part as `part/name`."""
        values = {name: metric.value for name, metric in self.record.test_metrics.items()}
        return {name: value for name, value in values.items() if value is not None}

    def predictions(self) -> "pd.DataFrame":
        """Return predictions.parquet: a row for each test example.

        Raises:
            UserError: the run has no predictions, or the file cannot be read.
        """
        return self._read_parquet(PREDICTIONS, "completed runs have it")

    def val_predictions(self) -> "pd.DataFrame":
        """Return val_predictions.parquet: a row for each example of the best validation.

        Raises:
            UserError: the run has none, as without sweep.val_predictions=true, or the file cannot be read.
        """
        return self._read_parquet(VAL_PREDICTIONS, "runs with sweep.val_predictions=true have it")

    def curves(self) -> "pd.DataFrame":
        """Return the learning curves of metrics.csv: a row for each step at which something was logged.

        The columns are `step` and the logged quantities, such as `train/loss` and `val/loss`: NaN where one was not
        logged at that step. There are no rows if nothing was logged.

        Raises:
            UserError: the file cannot be read.
        """
        import pandas as pd

        path = self.directory / CURVES
        require_file(path)
        try:
            logged = pd.read_csv(path, on_bad_lines="skip", encoding_errors="replace")
            steps = pd.to_numeric(logged["step"], errors="coerce")
        except (FileNotFoundError, pd.errors.EmptyDataError):
            return pd.DataFrame({"step": pd.Series(dtype="int64")})
        except (KeyError, TypeError, pd.errors.ParserError, OSError) as error:
            raise _unreadable(path, error) from None
        whole = steps.between(0, _MOST_STEPS)  # a run that is killed cuts its last line short
        numbers = logged[whole].apply(pd.to_numeric, errors="coerce").assign(step=steps[whole].astype("int64"))
        return numbers.groupby("step", as_index=False).last()

    def _read_parquet(self, name: str, who_has_it: str) -> "pd.DataFrame":
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.directory / name
        require_file(path)
        try:
            return pq.ParquetFile(path).read().to_pandas(ignore_metadata=True)  # anybody may have written the file
        except FileNotFoundError:
            raise UserError(f"{path} does not exist: {who_has_it}, and this run is {self.status}.") from None
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(path, error) from None

    def __fspath__(self) -> str:
        return str(self.directory)

    def __repr__(self) -> str:
        return f"Run({str(relative_to_cwd(self.directory))!r}, {self.status})"


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} cannot be read ({reason(error, named=path)}): restore it or run the job again.")


@dataclass(frozen=True, repr=False)
class Sweep:
    """The runs in a folder. It is path-like: it can be given wherever a sweep's folder can.

    Attributes:
        directory: the folder, an absolute path.
        runs: its runs when it was loaded, completed or not, the oldest first.
        trials: the trials of searches in it, which are no rows of a comparison.
    """

    directory: Path
    runs: tuple[Run, ...]
    trials: tuple[Run, ...]

    @property
    def failed(self) -> tuple[Run, ...]:
        """The runs that ended without the result that they were to have."""
        return tuple(run for run in self.runs if run.record.has_failed)

    def to_dataframe(self, settings: Sequence[str] | str = ()) -> "pd.DataFrame":
        """Return a row for each run, with the columns of comparison.csv and the settings that are asked for.

        Args:
            settings: dotted keys of the configuration, such as `optim.lr`, each a column more; NaN for a run that does
                not have it.

        Raises:
            UserError: no run has such a setting, or all runs are trials.
        """
        records = [(run.directory, run.record) for run in (*self.runs, *self.trials)]
        comparison = compare_records(records, tests=False)
        configs = [flatten_config(run.record.config) for run in comparison.runs]
        keys = [settings] if isinstance(settings, str) else settings
        for key in keys:
            _require_setting(key, {name for config in configs for name in config})
        return data_frame(
            [
                {**row, **{key: config.get(key) for key in keys}}
                for row, config in zip(run_rows(comparison, self.directory), configs, strict=True)
            ]
        )

    def predictions(self) -> "pd.DataFrame":
        """Return the predictions of all runs that have some, one below the other.

        The first columns say whose they are, as in `to_dataframe`: dataset, model, method, seed and run.

        Raises:
            UserError: a file cannot be read.
        """
        return self._stacked([run for run in self.runs if (run.directory / PREDICTIONS).is_file()], Run.predictions)

    def curves(self) -> "pd.DataFrame":
        """Return the learning curves of all runs, one below the other, with the same first columns."""
        return self._stacked(self.runs, Run.curves)

    def _stacked(self, runs: Sequence[Run], read: Callable[[Run], "pd.DataFrame"]) -> "pd.DataFrame":
        import pandas as pd

        labelled = []
        for run in runs:
            record, frame = run.record, read(run).drop(columns=_OWNER, errors="ignore")
            folder = Path(os.path.relpath(run.directory, self.directory)).as_posix()
            owner = (record.dataset, record.model, record.method, record.seed, folder)
            for place, (name, value) in enumerate(zip(_OWNER, owner, strict=True)):
                frame.insert(place, name, value)
            labelled.append(frame)
        return pd.concat(labelled, ignore_index=True) if labelled else pd.DataFrame(columns=_OWNER)

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def __fspath__(self) -> str:
        return str(self.directory)

    def __repr__(self) -> str:
        counts = Counter(run.status for run in self.runs)
        states = [f"{count} {status}" for status, count in counts.items()]
        trials = [f"{len(self.trials)} trials"] if self.trials else []
        return f"Sweep({str(relative_to_cwd(self.directory))!r}, {', '.join([*states, *trials])})"


def load_run(path: StrPath) -> Run:
    """Return the run in a folder, completed or not.

    Args:
        path: the run's own folder, such as outputs/SWEEP/RUN.

    Raises:
        UserError: there is no run, or its record cannot be read.
    """
    directory = run_folder(Path(path).expanduser().absolute())
    return Run(directory, read_record(directory))


def load_sweep(path: StrPath) -> Sweep:
    """Return the runs in a folder; warns of each record that cannot be read and leaves that run out.

    Args:
        path: the folder of a sweep, or a folder of sweeps.

    Raises:
        UserError: it is no folder, or has no readable record in it or below it.
    """
    directory = Path(path).expanduser().absolute()
    records, notices = read_records([directory])
    for notice in notices:
        warnings.warn(notice, stacklevel=2)
    runs, trials = (
        tuple(Run(folder, record) for folder, record in records if record.role == role) for role in ("run", "trial")
    )
    return Sweep(directory, runs, trials)


def data_frame(rows: Iterable[Mapping[str, Any]]) -> "pd.DataFrame":
    """Return rows of column -> value as a data frame; None becomes NaN, so that numbers stay numbers."""
    import pandas as pd

    return pd.DataFrame([{key: nan if value is None else value for key, value in row.items()} for row in rows])


def _require_setting(key: str, names: Collection[str]) -> None:
    if key not in names:
        near = [other for other in names if other.partition(".")[0] == key.partition(".")[0]]
        choices = near or {other.partition(".")[0] for other in names}
        raise UserError(f"no run has the setting {key}: {did_you_mean(key, choices)}.")
