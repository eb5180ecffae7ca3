"""Memory that is free again goes back to the system, which Python's allocator leaves to chance."""

import ctypes
import gc
import sys


def give_back() -> None:
    """Return what the process has freed but still holds; where that is not known to work, nothing happens.

    Millions of strings leave holes all over the heap, and glibc returns none of them unasked.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
