"""How a command runs what is asynchronous."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

import typer

__all__ = ["run"]

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
