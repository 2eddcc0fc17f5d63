"""Python's garbage collector, kept out of a measurement: when it runs is chance, and it frees what cycles hold."""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def no_garbage() -> Iterator[None]:
    """Collect garbage once, and none within the block."""
    was_enabled = gc.isenabled()
    gc.collect()
    _set_imports_aside()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@cache
def _set_imports_aside() -> None:
    """Once, have the collector pass over what is there: the million objects of torch's modules are no garbage."""
    gc.freeze()
    atexit.register(gc.unfreeze)  # some of them look for leaks in the end
