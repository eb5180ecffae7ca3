"""What a GPU draws over stretches of time, from its own counter by way of NVML."""

from typing import Any

import torch


class GpuEnergy:
    """Counts the joules of one GPU, where there is one and it counts them (Volta and later).

    It is the device's counter: idle power is in it, and so is what other jobs do there.

    Attributes:
        joules: in all stretches from a `start` to its `stop`; null: not known.
        status: ok, or why it is not known.
    """

    def __init__(self, device: torch.device, *, before: float = 0.0) -> None:
        """Look for the counter; `before` is what was counted before the run was interrupted."""
        self.joules: float | None = before
        self.status = "ok"
        self._began = 0
        self._handle: Any = None
        if device.type != "cuda":
            self._give_up("no GPU")
            return
        try:
            import pynvml
        except ImportError:
            self._give_up('NVML is not installed: pip install "ftlab[energy]"')
            return
        try:
            pynvml.nvmlInit()
            # by UUID: NVML numbers all devices of the machine, torch those that the process may see
            uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
            self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
            self._counter()
        except (pynvml.NVMLError, AttributeError, RuntimeError) as error:  # AttributeError: torch knows no UUID
            self._give_up(f"NVML: {error}")

    def start(self) -> None:
        """Begin a stretch."""
        if self.joules is not None:
            self._began = self._read()

    def stop(self) -> None:
        """End it, and add what was drawn."""
        ended = self._read() if self.joules is not None else 0
        if self.joules is not None:
            self.joules += (ended - self._began) / 1000

    def _read(self) -> int:
        import pynvml

        try:
            return self._counter()
        except pynvml.NVMLError as error:  # the driver went away: what was counted is not the whole
            self._give_up(f"NVML: {error}")
            return 0

    def _counter(self) -> int:
        """Return the millijoules since the driver was loaded."""
        import pynvml

        return int(pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))

    def _give_up(self, why: str) -> None:
        self.joules, self.status = None, why
