"""Stores for activations of frozen layers: in memory, or in a temporary file."""

import shutil
import tempfile
import weakref
from abc import ABC, abstractmethod
from pathlib import Path

import psutil
import torch

from ftlab.core.errors import UserError, reason

_FREE_MEMORY_DIVISOR = 4  # by default, a quarter of the free memory may be used
_GB = 10**9


class ActivationStore(ABC):
    """Mapping of keys to tensors, which are returned bit by bit as they were stored.

    Attributes:
        location: of the tensors, for the log.
    """

    location: str

    @abstractmethod
    def __contains__(self, key: bytes) -> bool:
        """Return whether a tensor is stored under this key."""

    @abstractmethod
    def __getitem__(self, key: bytes) -> torch.Tensor:
        """Return the tensor, on the CPU."""

    @abstractmethod
    def __setitem__(self, key: bytes, tensor: torch.Tensor) -> None:
        """Store a tensor, which may be on any device."""


class InMemory(ActivationStore):
    """Store in the memory of this process."""

    location = "memory"

    def __init__(self) -> None:
        """Begin empty."""
        self._tensors: dict[bytes, torch.Tensor] = {}

    def __contains__(self, key: bytes) -> bool:
        """See `ActivationStore`."""
        return key in self._tensors

    def __getitem__(self, key: bytes) -> torch.Tensor:
        """See `ActivationStore`."""
        return self._tensors[key]

    def __setitem__(self, key: bytes, tensor: torch.Tensor) -> None:
        """See `ActivationStore`."""
        with torch.inference_mode(False):  # a copy, not a view of the batch
            self._tensors[key] = torch.empty_like(tensor, device="cpu").copy_(tensor)


class OnDisk(ActivationStore):
    """Store in a file without a name, which the system removes when the process ends, however it ends.

    The file is read, not mapped: pages of a mapped file would count as memory of this process.
    """

    location = "a file"

    def __init__(self, folder: Path) -> None:
        """Begin empty."""
        self._folder = folder
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        weakref.finalize(self, self._file.close)  # open until this object is gone
        self._entries: dict[bytes, tuple[int, torch.Size, torch.dtype]] = {}  # offset, shape, dtype
        self._end = 0

    def __contains__(self, key: bytes) -> bool:
        """See `ActivationStore`."""
        return key in self._entries

    def __getitem__(self, key: bytes) -> torch.Tensor:
        """See `ActivationStore`."""
        offset, shape, dtype = self._entries[key]
        with torch.inference_mode(False):
            tensor = torch.empty(shape, dtype=dtype)
            self._file.seek(offset)
            self._file.readinto(tensor.view(-1).view(torch.uint8).numpy().data)
        return tensor

    def __setitem__(self, key: bytes, tensor: torch.Tensor) -> None:
        """See `ActivationStore`.

        Raises:
            UserError: the disk is full.
        """
        content = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data
        try:
            self._file.seek(self._end)
            self._file.write(content)
            self._file.flush()
        except OSError as error:
            raise UserError(
                f"the activations of frozen layers cannot be stored in {self._folder} ({reason(error)}): free space "
                "there, or set speed.frozen_layers_disk_gb=0 to compute them in each pass."
            ) from error
        self._entries[key] = self._end, tensor.shape, tensor.dtype
        self._end += content.nbytes


def choose_store(
    needed: int, folder: Path, *, memory_gb: float | None, disk_gb: float, processes: int
) -> ActivationStore | str:
    """Return a store for that many bytes, or the reason why there is none.

    Args:
        needed: bytes.
        folder: for a file.
        memory_gb: limit of the memory, in 10⁹ bytes; None: a quarter of the free memory.
        disk_gb: limit of the file, in 10⁹ bytes; never more than half of the free disk space.
        processes: number of processes on this machine that need as much.
    """
    memory = psutil.virtual_memory().available / _FREE_MEMORY_DIVISOR if memory_gb is None else memory_gb * _GB
    if needed * processes <= memory:
        return InMemory()
    if needed * processes <= min(disk_gb * _GB, shutil.disk_usage(folder).free / 2):
        return OnDisk(folder)
    return (
        f"their {needed * processes / _GB:.3g} GB exceed the {memory / _GB:.3g} GB of memory and the {disk_gb:g} GB of "
        "disk space allowed (speed.frozen_layers_memory_gb, speed.frozen_layers_disk_gb)"
    )
