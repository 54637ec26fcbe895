"""What people's labels say of each tag of a stored graph: read once when it is opened, kept current after that.

How often a tag is used, and what its notes and their words have in common: see :mod:`~streamproc.graph.label_sums`, where it
is counted. Here stands when: rows are counted as they are written, the whole graph is read beside that, and what serves
searches is made of the sums. Memory grows with the tags by a vector each, with the words that each tag's notes have by twelve
bytes each, and with the labelled notes by their keys; what a note itself taught is read from the graph again when it is
replaced, removed or judged.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain

from streamproc.errors import StreamprocError
from streamproc.graph.discriminant import Discriminant
from streamproc.graph.hits import Spoken
from streamproc.graph.keys import split_note_key
from streamproc.graph.label_sums import Labels, LabelSums, Taught
from streamproc.graph.uses import corrected
from streamproc.graph.wording import WordModel

__all__ = ["History", "TagHistory"]

REREAD_SECONDS = 60.0
"""Least time between two readings of a graph: other workers write to it as well, or a write has failed half-way."""

MANY_JUDGED = 8_192
"""So many notes that were judged since the last time are not told one by one: the whole graph is read again."""

_REREAD_SHARE = 0.02  # of the time that may be spent on reading anew
_REST = 10.0  # times as long as the models took to make the last ones serve, whatever is written

_log = logging.getLogger(__name__)

Scan = Callable[[], AsyncIterator[Labels]]
Tell = Callable[[Collection[str]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class History:
    """What people's labels say, as of one moment.

    Attributes:
        uses: tag id → on how many notes people put it, as ``TagUses.counts`` has it.
        discriminant: what those notes have in common; None: there are none.
        wording: what their words have in common; None: there are no words.
    """

    uses: Mapping[str, int]
    discriminant: Discriminant | None
    wording: WordModel | None


class TagHistory:
    """The history of one open graph.

    What this process writes counts at once. What other workers write is seen with the next reading, which runs
    in the background; meanwhile the last one holds. What people say of notes counts once the rows of these notes were
    told again, in the background, too.

    Args:
        scan: reads the labels of every row, a page at a time.
        tell: calls :meth:`put` with the rows of some notes as they are.
        dimension: of the vectors.
        shared: whether others write to the graph, too.
        reread_seconds: least time between two readings of a graph.
    """

    def __init__(
        self, scan: Scan, tell: Tell, dimension: int, *, shared: bool, reread_seconds: float = REREAD_SECONDS
    ) -> None:
        self._scan = scan
        self._tell = tell
        self._dimension = dimension
        self._shared = shared
        self._reread_seconds = reread_seconds
        self._told: _Told | None = None
        self._next: _Told | None = None
        self._due = 0.0
        self._doubts = 0  # how often rows were written but perhaps not told
        self._settled = 0  # of the doubts, by the last reading
        self._reading: asyncio.Task[None] | None = None
        self._judgements: Spoken | None = None
        self._heard = 0  # of the judgements
        self._hearing: asyncio.Task[None] | None = None
        self._telling = asyncio.Lock()  # rows must not change between being read or written and being counted

    async def current(self) -> History:
        """What people's labels say.

        Raises:
            DependencyDownError: the graph was never read, and cannot be reached.
            DeadlineError: likewise, and it did not answer in time.
        """
        while (told := self._told) is None:
            await asyncio.shield(self._read())
        if (self._shared or self._doubts > self._settled) and time.monotonic() >= self._due:
            self._read()
        return await told.history()

    def hear(self, judgements: Spoken) -> None:
        """Count rows from now on as people's judgements correct them, those that were counted before soon.

        Where they cannot be read they stay as they were until the next call.

        Args:
            judgements: the latest.
        """
        self._judgements = judgements
        if self._told is None and self._next is None:
            self._heard = judgements.spoken  # the first reading hears them all
        elif judgements.spoken > self._heard and (self._hearing is None or self._hearing.done()):
            self._hearing = asyncio.get_running_loop().create_task(
                self._hear_all(), name="hear people's judgements"
            )
            self._hearing.add_done_callback(_log_failure)

    def says(self, key: str, given: AbstractSet[str]) -> frozenset[str]:
        """The tags that a row counts for: those that its edges give, as people's judgements correct them.

        Args:
            key: of the row.
            given: ids of the tags that it has by people's word.
        """
        if self._judgements is None or not self._judgements.spoken:
            return frozenset(given)
        return corrected(given, self._judgements.of(split_note_key(key)[0]))

    @asynccontextmanager
    async def telling(self) -> AsyncIterator[None]:
        """Rows are written and told, or read and told: no other rows are meanwhile.

        Where that ends half-way, by an error or a time-out, the sums may no longer be those of what stands in the graph: it
        is read again, and until then they serve as they are.
        """
        async with self._telling:
            try:
                yield
            except BaseException:
                self._doubts += 1
                raise

    def needed(self, written: Labels) -> list[str]:
        """The rows of which ``put`` has to know what they taught, before others are written or removed.

        Args:
            written: the rows as they will be.
        """
        known = [each.needed(written) for each in (self._told, self._next) if each is not None]
        return list(dict.fromkeys(chain.from_iterable(known)))

    async def put(self, written: Labels, before: Mapping[str, Taught]) -> None:
        """Rows were written or removed.

        Args:
            written: the rows as they are now.
            before: key → what it taught, of the rows that were ``needed``.
        """
        for each in (self._told, self._next):
            if each is not None:
                await each.put(written, before)

    def forget(self) -> None:
        """The graph was emptied."""
        self._told, self._next = _Told(self._dimension), None

    async def close(self) -> None:
        """Stop reading."""
        for task in (self._hearing, self._reading):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, StreamprocError):
                    await task

    def _read(self) -> "asyncio.Task[None]":
        """The reading that is under way, or a new one."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(
                self._read_all(), name="read people's labels"
            )
            self._reading.add_done_callback(_log_failure)
        return self._reading

    async def _hear_all(self) -> None:
        while (judgements := self._judgements) is not None and judgements.spoken > self._heard:
            notes = judgements.since(self._heard)
            if len(notes) < MANY_JUDGED:
                await self._tell(notes)
            else:
                if self._reading is not None and not self._reading.done():
                    await asyncio.shield(self._reading)  # it began before they spoke
                await asyncio.shield(self._read())
            self._heard = judgements.spoken

    async def _read_all(self) -> None:
        began = time.monotonic()
        self._due = began + self._reread_seconds
        async with self.telling():  # rows that are being written meanwhile may count as people said before
            told = self._next = _Told(self._dimension)
            doubts = self._doubts
        try:
            left = await self._read_pages(told)
            if left:
                await self._tell({split_note_key(key)[0] for key in left})
            if self._next is not told:
                return  # the graph was emptied, and what was read of it is no more
        finally:
            if self._next is told:
                self._next = None
        self._told, self._settled = told, doubts
        ended = time.monotonic()
        self._due = ended + max(self._reread_seconds, (ended - began) / _REREAD_SHARE)

    async def _read_pages(self, told: "_Told") -> list[str]:
        """Count every row; gives the keys of those that have to be told with the other row of their note."""
        pages = aiter(self._scan())
        left: list[str] = []
        while True:
            async with self.telling():
                page = await anext(pages, None)
                if page is None:
                    return left
                left += await told.read(page)


class _Told:
    """What was told of the rows so far, and the models that were made of it last."""

    def __init__(self, dimension: int) -> None:
        self._sums = LabelSums(dimension)
        self._history: History | None = None
        self._changed = False
        self._rested = 0.0  # from when on the models may be made anew
        self._one_at_a_time = asyncio.Lock()

    def needed(self, written: Labels) -> list[str]:
        """See :meth:`LabelSums.needed`."""
        return self._sums.needed(written)

    async def read(self, page: Labels) -> list[str]:
        """Count rows as they stand in the graph; see :meth:`LabelSums.read`."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._sums.read, page)

    async def put(self, written: Labels, before: Mapping[str, Taught]) -> None:
        """Count rows as they are now; see :meth:`LabelSums.put`."""
        async with self._one_at_a_time:
            self._changed = self._sums.put(written, before) or self._changed

    async def history(self) -> History:
        """What the rows say; later changes do not reach it."""
        # Whoever asks may be cancelled; the thread that makes the models cannot be, and nothing may change beside it.
        return await asyncio.shield(asyncio.create_task(self._current()))

    async def _current(self) -> History:
        async with self._one_at_a_time:
            if self._history is None or (self._changed and time.monotonic() >= self._rested):
                began = time.monotonic()
                discriminant, wording = await asyncio.to_thread(self._sums.models)
                self._changed = False
                ended = time.monotonic()
                self._rested = ended + _REST * (ended - began)
                self._history = History(self._sums.uses(), discriminant, wording)
            elif (uses := self._sums.uses()) is not self._history.uses:
                self._history = replace(self._history, uses=uses)
            return self._history


def _log_failure(reading: "asyncio.Task[None]") -> None:
    if not reading.cancelled() and (error := reading.exception()) is not None:
        _log.warning("people's labels could not be read: %s", error)
