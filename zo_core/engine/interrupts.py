"""Ctrl-C that arrives while the parameters are on their way waits until they have arrived."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def uninterrupted() -> Iterator[Callable[[Callable[[], T]], T]]:
    """Run the block to its end; a SIGINT that comes meanwhile is raised after it.

    What the block calls through the function that it is given may be interrupted all the same. Python delivers
    signals to the main thread alone, so other threads have nothing to wait for; nor has a process that ignores SIGINT
    or leaves it to the operating system.
    """
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield lambda function: function()
        return
    waiting, allowed = False, False

    def on_sigint(number: int, frame: FrameType | None) -> None:
        nonlocal waiting, allowed
        waiting = not allowed
        if allowed:
            allowed = False  # stays so if the handler raises, as Python's own does
            handler(number, frame)
            allowed = True

    def interruptible(function: Callable[[], T]) -> T:
        nonlocal allowed
        allowed = True
        try:
            if waiting:
                signal.raise_signal(signal.SIGINT)
            return function()
        finally:
            allowed = False

    signal.signal(signal.SIGINT, on_sigint)
    try:
        yield interruptible
    finally:
        signal.signal(signal.SIGINT, handler)
        if waiting:
            signal.raise_signal(signal.SIGINT)
