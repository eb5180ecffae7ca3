"""Heap trimming: return freed memory to the operating system."""

import ctypes
import gc
import sys


def trim_heap() -> None:
    """Return freed memory to the system, by glibc's malloc_trim; do nothing where that does not exist.

    Millions of freed strings leave holes all over the heap, and glibc returns none of them by itself.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
