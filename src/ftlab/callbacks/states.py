"""Where what a frozen trunk said of each row is kept: in memory, or in a file that goes with the process."""

import shutil
import tempfile
import weakref
from abc import ABC, abstractmethod
from pathlib import Path

import psutil
import torch

from ftlab.errors import UserError

_FREE_SHARE = 4  # the part of the free memory that is used unasked
_GB = 10**9


class Kept(ABC):
    """Tensors of one type by key; nothing is kept twice, and what comes out is what went in, to the bit."""

    place: str

    @abstractmethod
    def __contains__(self, key: bytes) -> bool:
        """Return whether something is kept under this key."""

    @abstractmethod
    def __getitem__(self, key: bytes) -> torch.Tensor:
        """Return it, on the CPU."""

    @abstractmethod
    def __setitem__(self, key: bytes, tensor: torch.Tensor) -> None:
        """Keep a tensor, which may be on any device."""


class InMemory(Kept):
    """In this process."""

    place = "memory"

    def __init__(self) -> None:
        """Begin empty."""
        self._tensors: dict[bytes, torch.Tensor] = {}

    def __contains__(self, key: bytes) -> bool:
        """See `Kept`."""
        return key in self._tensors

    def __getitem__(self, key: bytes) -> torch.Tensor:
        """See `Kept`."""
        return self._tensors[key]

    def __setitem__(self, key: bytes, tensor: torch.Tensor) -> None:
        """See `Kept`."""
        with torch.inference_mode(False):  # a copy of its own, not a view of the batch
            self._tensors[key] = torch.empty_like(tensor, device="cpu").copy_(tensor)


class OnDisk(Kept):
    """In a file without a name, which the system removes with the process, however that ends.

    It is read and not mapped: pages of a mapped file would count as memory of this process.
    """

    place = "a file"

    def __init__(self, folder: Path) -> None:
        """Begin empty."""
        self._folder = folder
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        weakref.finalize(self, self._file.close)  # it stays open until then
        self._places: dict[bytes, tuple[int, torch.Size, torch.dtype]] = {}  # dtypes: of the pass
        self._end = 0

    def __contains__(self, key: bytes) -> bool:
        """See `Kept`."""
        return key in self._places

    def __getitem__(self, key: bytes) -> torch.Tensor:
        """See `Kept`."""
        start, shape, dtype = self._places[key]
        with torch.inference_mode(False):
            tensor = torch.empty(shape, dtype=dtype)
            self._file.seek(start)
            self._file.readinto(tensor.view(-1).view(torch.uint8).numpy().data)
        return tensor

    def __setitem__(self, key: bytes, tensor: torch.Tensor) -> None:
        """See `Kept`.

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
                f"the states of the frozen part cannot be kept in {self._folder} ({error.strerror}): make room there, "
                "or set speed.trunk_disk_gb=0 to have them computed each time."
            ) from error
        self._places[key] = self._end, tensor.shape, tensor.dtype
        self._end += content.nbytes


def room_for(needed: int, folder: Path, *, memory_gb: float | None, disk_gb: float, sharing: int) -> Kept | str:
    """Return where so much is kept, or why nowhere.

    Args:
        needed: bytes.
        folder: in which a file may lie.
        memory_gb: most memory, in 10⁹ bytes; None: a quarter of what is free.
        disk_gb: most room in a file, in 10⁹ bytes; no more than half of what is free there.
        sharing: processes on this machine that need as much.
    """
    memory = psutil.virtual_memory().available / _FREE_SHARE if memory_gb is None else memory_gb * _GB
    if needed * sharing <= memory:
        return InMemory()
    if needed * sharing <= min(disk_gb * _GB, shutil.disk_usage(folder).free / 2):
        return OnDisk(folder)
    return (
        f"{needed * sharing / _GB:.3g} GB are more than the {memory / _GB:.3g} GB of memory and {disk_gb:g} GB of disk "
        "that it may take (speed.trunk_memory_gb, speed.trunk_disk_gb)"
    )
