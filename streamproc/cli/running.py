"""How a command runs what is asynchronous."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import typer

__all__ = ["ctrl_c_at_once", "run"]

T = TypeVar("T")

INTERRUPTED = 130
"""What shells report for a command that Ctrl-C ended."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it to its end; Ctrl-C ends it without a traceback."""
    # A command tells of a failure in one sentence of its own; the client's log of every attempt would bury it.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


@contextlib.contextmanager
def ctrl_c_at_once() -> Iterator[None]:
    """Let Ctrl-C interrupt a read of standard input, too.

    asyncio's own handler cancels the task and waits for it, and a task that waits in a read hears of it only when
    the next line comes.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
