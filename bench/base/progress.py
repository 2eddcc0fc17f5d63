"""Progress of a long run: a bar on a terminal, plain lines elsewhere.

The bar is redrawn only when something is said, never by a thread of its own: that would run beside what is timed.
"""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

T = TypeVar("T")

STANDARD_OUTPUT = 1
REDRAW_S = 0.2
PLAIN_LINE_S = 20.0


class Progress:
    """Says which case is running and how far along it is.

    It writes to the standard output of the process as it is when made, so that pytest's capture, which redirects the
    file descriptor during a test, does not swallow it.

    Args:
        total: number of cases.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        sys.stdout.flush()
        self._stream = os.fdopen(os.dup(STANDARD_OUTPUT), "w", buffering=1, encoding="utf-8")
        self._console = Console(file=self._stream, highlight=False, markup=False)
        self._bar = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            auto_refresh=False,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._cases = self._bar.add_task("cases", total=total)
        self._started = time.perf_counter()
        self._case = ""

    def start_case(self, name: str) -> None:
        """A case begins."""
        self._bar.start()
        self._case, self._started = name, time.perf_counter()
        self._bar.update(self._cases, description=name, refresh=True)

    def end_case(self, outcome: str) -> None:
        """The case ended; one line stays behind."""
        self.done += 1
        self._bar.update(self._cases, completed=self.done, refresh=True)
        seconds = time.perf_counter() - self._started
        self.say(f"[{self.done}/{self.total}] {self._case}  {outcome}  {seconds:.1f} s")

    def say(self, line: str) -> None:
        """A line that stays."""
        self._console.print(line, soft_wrap=True)

    def track(self, items: Iterable[T], description: str, total: int | None) -> Iterator[T]:
        """Pass `items` through, showing how many of `total` have gone by."""
        task = self._bar.add_task(description, total=total)
        interval = REDRAW_S if self._console.is_terminal else PLAIN_LINE_S
        spoken = time.perf_counter()
        try:
            for count, item in enumerate(items, start=1):
                yield item
                if time.perf_counter() - spoken > interval:
                    spoken = time.perf_counter()
                    self._tell(task, description, count, total)
        finally:
            self._bar.remove_task(task)

    def close(self) -> None:
        """Take the bar away; nothing more can be said."""
        self._bar.stop()
        self._stream.close()

    def _tell(self, task: object, description: str, count: int, total: int | None) -> None:
        if self._console.is_terminal:
            self._bar.update(task, completed=count, refresh=True)  # type: ignore[arg-type]
        else:
            self.say(f"  {self._case}: {description}, {count}{f' of {total}' if total else ''}")
