"""How far a long command has come, on standard error: bars on a terminal, a line now and then otherwise."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

__all__ = ["ProgressCallback", "loading_progress"]

LINE_SECONDS = 5.0
"""Often enough to see that it goes on, seldom enough for a log."""

ProgressCallback = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""


@contextmanager
def loading_progress() -> Iterator[ProgressCallback]:
    """Show progress while the block runs; call what it gives as often as you like."""
    if sys.stderr.isatty():
        with _bars() as callback:
            yield callback
    else:
        yield _Lines(time.monotonic)


@contextmanager
def _bars() -> Iterator[ProgressCallback]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done, total=total)

        yield show


class _Lines:
    """Prints a line when the last one is old enough."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._due = clock() + LINE_SECONDS

    def __call__(self, what: str, done: int, total: int) -> None:
        if self._clock() >= self._due:
            self._due = self._clock() + LINE_SECONDS
            print(f"{what}: {done:,} of {total:,}", file=sys.stderr, flush=True)  # noqa: T201
