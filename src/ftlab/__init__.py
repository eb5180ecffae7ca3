"""ftlab: comparison of fine-tuning methods for a given model, data set and hardware, with error bars.

The names below are the Python interface, see docs/python_api.md. Each is imported on first use: `import ftlab` costs
nothing, and only `Predictor` loads torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftlab.api.commands import run, sweep
    from ftlab.api.comparison import Comparison, compare
    from ftlab.api.results import Run, Sweep, load_run, load_sweep
    from ftlab.core.errors import ConfigError, DataError, Failed, UserError
    from ftlab.inference.predictor import Predictor

__version__ = "0.1.0"

__all__ = [
    "Comparison",
    "ConfigError",
    "DataError",
    "Failed",
    "Predictor",
    "Run",
    "Sweep",
    "UserError",
    "compare",
    "load_run",
    "load_sweep",
    "run",
    "sweep",
]

_MODULES = {
    "ftlab.api.commands": ("run", "sweep"),
    "ftlab.api.comparison": ("Comparison", "compare"),
    "ftlab.api.results": ("Run", "Sweep", "load_run", "load_sweep"),
    "ftlab.core.errors": ("ConfigError", "DataError", "Failed", "UserError"),
    "ftlab.inference.predictor": ("Predictor",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'ftlab' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
