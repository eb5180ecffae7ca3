"""Reader of the result files of huggingface/peft's method_comparison: one JSON file for each training run."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    ValidationError,
)

from ftlab.core.errors import UserError, reason

_MAX_BYTES = 2_000_000  # of a file; the largest published one has 78 kB
_MAX_FILES = 10_000  # below all folders
_PARTS = ("run_info", "train_info", "meta_info")  # a JSON file without them is no result


def _require_share(value: float) -> float:
    if value < 0 or value > 1:  # not a number passes: a run that diverged says so
        raise ValueError("is not between 0 and 1")
    return value


_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Seconds = Annotated[FiniteFloat, Field(ge=0, le=1e9)]
_Count = Annotated[NonNegativeInt, Field(le=10**18)]
_Share = Annotated[float, AfterValidator(_require_share)]


class _Published(BaseModel):
    """Immutable values; fields that are not needed are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TrainConfig(_Published):
    """Settings of a training run; those without a field here are kept as well, in `model_extra`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    model_id: _Name
    seed: NonNegativeInt = Field(le=2**32)
    max_steps: _Count
    batch_size: _Count
    max_seq_length: _Count | None = None  # language models have it
    dtype: str | None = Field(default=None, max_length=50)
    use_amp: bool = False
    optimizer_type: str | None = None
    optimizer_kwargs: dict[str, Any] = Field(default_factory=dict)
    lr_scheduler: str | None = None
    dataset_id: _Name | None = None  # image generation has it


class RunInfo(_Published):
    """A run, its settings and how long it took."""

    created_at: AwareDatetime  # when the run began
    total_time: _Seconds
    experiment_name: _Name
    train_config: TrainConfig
    peft_config: dict[str, Any] | None = None  # null: full fine-tuning
    error_msg: str | None = ""


class Measurements(_Published):
    """Measurements at one step of training; the last ones are those on the test split."""

    accuracy: _Share | None = Field(default=None, alias="test accuracy")
    dino_similarity: float | None = Field(default=None, alias="test dino_similarity")
    forgetting: float | None = None
    drift: float | None = None
    examples: _Count = Field(default=0, alias="train samples")
    tokens: _Count = Field(default=0, alias="train total tokens")
    train_s: _Seconds = Field(default=0.0, alias="train time")  # of the steps since the measurements before
    eval_s: _Seconds = Field(default=0.0, alias="eval time")


class TrainInfo(_Published):
    """Measurements of a run; files of 2025 name the memory after CUDA, and the oldest count no parameters."""

    status: Literal["success", "failed", "canceled"]
    train_time: _Seconds  # without validations, but with the test and what is done before the first step
    peak_memory_bytes: _Count | None = Field(
        default=None, validation_alias=AliasChoices("accelerator_memory_max", "cuda_memory_max")
    )
    file_size: _Count | None = None  # of the saved adapter, bytes
    num_trainable_params: _Count | None = None
    num_total_params: _Count | None = None
    metrics: list[Measurements] = Field(default_factory=list)

    @property
    def test(self) -> Measurements:
        """The last measurements; without any value if nothing was measured."""
        return self.metrics[-1] if self.metrics else Measurements()


class SystemInfo(_Published):
    """Machine of a run."""

    accelerator: str | None = Field(default=None, max_length=200)
    processor: str | None = Field(default=None, max_length=200)


class MetaInfo(_Published):
    """Base model, data, software and machine of a run."""

    model_info: dict[str, Any] | None = None  # sha: commit on the hub
    dataset_info: dict[str, Any] | None = None  # name -> sha and more; with one data set its sha alone
    package_info: dict[str, str | None] = Field(default_factory=dict)
    system_info: SystemInfo = Field(default_factory=SystemInfo)


class PeftResult(_Published):
    """One result file: a training run, its settings and its measurements, without predictions of examples."""

    run_info: RunInfo
    train_info: TrainInfo
    meta_info: MetaInfo

    @property
    def dataset_commits(self) -> dict[str, str]:
        """Name of each data set -> its commit on the hub; empty if the file does not say."""
        info = self.meta_info.dataset_info or {}
        if "sha" in info:
            info = {self.run_info.train_config.dataset_id or "data": info}
        commits = {name: part.get("sha") for name, part in info.items() if isinstance(part, dict)}
        return {name: str(commit) for name, commit in commits.items() if commit}


@dataclass(frozen=True)
class ResultFile:
    """Result with the place where it was found.

    Attributes:
        path: of the file.
        campaign: number of the folder, from 0, in the order in which folders were given.
        result: its content.
    """

    path: Path
    campaign: int
    result: PeftResult


@dataclass(frozen=True)
class PublishedResults:
    """Results in some folders.

    Attributes:
        files: the results, in the order of the folders.
        skipped: files that are no results.
        repeated: files that hold a run that an earlier one holds already, as the next state of a table does.
    """

    files: tuple[ResultFile, ...]
    skipped: tuple[Path, ...]
    repeated: tuple[Path, ...]


def read_results(folders: Sequence[Path]) -> PublishedResults:
    """Read the result files below the folders; a run that several of them hold is kept once.

    Args:
        folders: one for each campaign.

    Raises:
        UserError: a folder does not exist, holds no result or too many files, or a result has a field that is wrong.
    """
    files: list[ResultFile] = []
    skipped: list[Path] = []
    repeated: list[Path] = []
    known_runs = set()
    for campaign, folder in enumerate(folders):
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder: give one with result files (*.json) below it.")
        before = len(files) + len(repeated)
        for path in sorted(folder.rglob("*.json")):
            if len(files) + len(skipped) + len(repeated) == _MAX_FILES:
                raise UserError(f"{folder} has too many files: give folders with at most {_MAX_FILES:,} of *.json.")
            result = read_result(path)
            if result is None:
                skipped.append(path)
                continue
            run = (result.run_info.experiment_name, result.run_info.created_at)
            if run in known_runs:
                repeated.append(path)
                continue
            known_runs.add(run)
            files.append(ResultFile(path, campaign, result))
        if len(files) + len(repeated) == before:
            raise UserError(
                f"{folder} has no result of peft's method_comparison below it: give a folder such as "
                "peft/method_comparison/MetaMathQA/results."
            )
    return PublishedResults(tuple(files), tuple(skipped), tuple(repeated))


def read_result(path: Path) -> PeftResult | None:
    """Read a result file, which may be anybody's; None: it is no result, or larger than any.

    Raises:
        UserError: it cannot be read, or is a result with a field that is wrong.
    """
    if not path.is_file():  # opening a pipe would wait for a writer
        return None
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({reason(error, named=path)}): make it readable.") from None
    if len(content) > _MAX_BYTES:
        return None
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):  # also of numbers and nesting without end
        return None
    if not isinstance(values, dict) or not all(isinstance(values.get(part), dict) for part in _PARTS):
        return None
    try:
        result = PeftResult.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{path}: {field} is not that of a result: {message}: correct or remove the file.") from None
    test = result.train_info.test
    if result.train_info.status == "success" and test.accuracy is None and test.dino_similarity is None:
        raise UserError(
            f"{path}: train_info.metrics has no test accuracy and no test dino_similarity at its end, though the run "
            "succeeded: remove the file, or import it with an ftlab that knows its metric."
        )
    return result
