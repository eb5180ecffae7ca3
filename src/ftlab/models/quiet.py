"""Silence what Transformers and bitsandbytes print while a model loads; what matters of it is checked instead."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging as transformers_logging

# Says at import that an optional CPU kernel is absent; every other message of bitsandbytes stays.
_BITSANDBYTES_KERNELS = "bitsandbytes.backends.cpu.ops"


@contextmanager
def quiet() -> Iterator[None]:
    """Hide load reports and weight-loading bars; errors still show, and downloads keep their bars."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    kernels = logging.getLogger(_BITSANDBYTES_KERNELS)
    level = kernels.level
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    kernels.setLevel(logging.ERROR)
    try:
        yield
    finally:
        kernels.setLevel(level)
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
