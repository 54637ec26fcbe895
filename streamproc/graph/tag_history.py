"""How often people use each tag of a stored graph: counted once when it is opened, kept current after that."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress

from streamproc.errors import StreamprocError
from streamproc.graph.uses import TagUses

__all__ = ["PeoplesTags", "UseCounts"]

PeoplesTags = Mapping[str, frozenset[str]]
"""Key of a note's row → the tags that people put on the note; none: the row is gone or has no such tag."""

Scan = Callable[[], AsyncIterator[PeoplesTags]]

RECOUNT_SECONDS = 60.0
"""Least time between two counts of a graph that other workers write to as well."""

_RECOUNT_SHARE = 0.02  # of the time that may be spent on counting anew

_log = logging.getLogger(__name__)


class UseCounts:
    """The counts of one open graph.

    What this process writes is counted at once. What other workers write is seen with the next count, which runs
    in the background; meanwhile the last one holds.

    Args:
        scan: reads the tags of every row, a page at a time.
        shared: whether others write to the graph, too.
        recount_seconds: least time between two counts of a shared graph.
    """

    def __init__(self, scan: Scan, *, shared: bool, recount_seconds: float = RECOUNT_SECONDS) -> None:
        self._scan = scan
        self._shared = shared
        self._recount_seconds = recount_seconds
        self._uses: TagUses | None = None
        self._due = 0.0
        self._meanwhile: list[PeoplesTags] | None = None
        self._counting: asyncio.Task[None] | None = None

    async def current(self) -> Mapping[str, int]:
        """Tag id → on how many notes people put it, as ``TagUses.counts`` has it.

        Raises:
            DependencyDownError: the graph was never counted, and cannot be reached.
            DeadlineError: likewise, and it did not answer in time.
        """
        while self._uses is None:
            await asyncio.shield(self._count())
        if self._shared and time.monotonic() >= self._due:
            self._count()
        return self._uses.counts()

    def put(self, written: PeoplesTags) -> None:
        """Rows were written or removed."""
        if self._meanwhile is not None:
            self._meanwhile.append(written)
        if self._uses is not None:
            _apply(self._uses, written)

    def forget(self) -> None:
        """The graph was emptied."""
        self._uses = TagUses()
        self._meanwhile = None

    async def close(self) -> None:
        """Stop counting."""
        if self._counting is not None:
            self._counting.cancel()
            with suppress(asyncio.CancelledError, StreamprocError):
                await self._counting

    def _count(self) -> "asyncio.Task[None]":
        """The count that is running, or a new one."""
        if self._counting is None or self._counting.done():
            self._counting = asyncio.get_running_loop().create_task(
                self._counted(), name="count uses of tags"
            )
            self._counting.add_done_callback(_log_failure)
        return self._counting

    async def _counted(self) -> None:
        began = time.monotonic()
        self._due = began + self._recount_seconds
        uses = TagUses()
        meanwhile: list[PeoplesTags] = []
        self._meanwhile = meanwhile
        try:
            async for page in self._scan():
                await asyncio.to_thread(_apply, uses, page)
            if self._meanwhile is not meanwhile:
                return  # the graph was emptied, and what was read of it is no more
            # A page may be older than a write: the writes have the last word.
            for written in meanwhile:
                _apply(uses, written)
        finally:
            self._meanwhile = None
        self._uses = uses
        ended = time.monotonic()
        self._due = ended + max(self._recount_seconds, (ended - began) / _RECOUNT_SHARE)


def _apply(uses: TagUses, written: PeoplesTags) -> None:
    for key, tags in written.items():
        uses.put(key, tags)


def _log_failure(count: "asyncio.Task[None]") -> None:
    if not count.cancelled() and (error := count.exception()) is not None:
        _log.warning("the uses of tags could not be counted: %s", error)
