"""Energy meter of a GPU, from its own counter, read through NVML."""

from typing import Any

import torch

from ftlab.core.errors import reason


class GpuEnergy:
    """Measures the energy of one GPU, if there is one that counts it (Volta and later).

    The counter is the device's: it includes idle power and other jobs on the GPU.

    Attributes:
        joules: between each `start` and its `stop`, summed; None: not known.
        status: ok, or the reason why it is not known.
    """

    def __init__(self, device: torch.device, *, before: float = 0.0) -> None:
        """Look for the counter; `before` are the joules of a resumed run before its interruption."""
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
            # by UUID: NVML numbers all devices of the machine, torch only those visible to the process
            uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
            self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
            self._counter()
        except (pynvml.NVMLError, AttributeError, RuntimeError) as error:  # AttributeError: a torch without UUIDs
            self._give_up(f"NVML: {reason(error)}")

    def start(self) -> None:
        """Start measuring."""
        if self.joules is not None:
            self._began = self._read()

    def stop(self) -> None:
        """Stop measuring and add the energy since `start`."""
        ended = self._read() if self.joules is not None else 0
        if self.joules is not None:
            self.joules += (ended - self._began) / 1000

    def _read(self) -> int:
        import pynvml

        try:
            return self._counter()
        except pynvml.NVMLError as error:  # the driver is gone, so the sum would be incomplete
            self._give_up(f"NVML: {reason(error)}")
            return 0

    def _counter(self) -> int:
        """Return the millijoules since the driver was loaded."""
        import pynvml

        return int(pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))

    def _give_up(self, why: str) -> None:
        self.joules, self.status = None, why
