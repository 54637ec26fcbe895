"""What people's labels say of each tag of a stored graph: read once when it is opened, kept current after that.

How often a tag is used, and what its notes and their words have in common: see :mod:`~streamproc.graph.uses`,
:mod:`~streamproc.graph.discriminant` and :mod:`~streamproc.graph.wording`. Memory grows with the tags by a vector each, with
the words that each tag's notes have by twelve bytes each, and with the labelled notes by their keys; what a note itself
taught is read from the graph again when it is replaced, removed or judged.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from streamproc.errors import StreamprocError
from streamproc.graph.discriminant import Discriminant, Float32, TagSums
from streamproc.graph.hits import Spoken
from streamproc.graph.keys import split_note_key
from streamproc.graph.uses import TagUses, corrected
from streamproc.graph.wording import WordCounts, WordModel, Words

__all__ = ["History", "Labels", "TagHistory", "Taught"]

REREAD_SECONDS = 60.0
"""Least time between two readings of a graph that other workers write to as well."""

MANY_JUDGED = 8_192
"""So many notes that were judged since the last time are not told one by one: the whole graph is read again."""

_REREAD_SHARE = 0.02  # of the time that may be spent on reading anew
_REST = 10.0  # times as long as the models took to make the last ones serve, whatever is written

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Labels:
    """Some rows of notes and what people say of them.

    Attributes:
        keys: of the rows.
        tags: of each, the ids that it has by people's word; none: the row is gone or has no such tag.
        vectors: float32[rows, dimension]; those of rows without tags are not looked at.
        words: of each, as the row has them; likewise. None stand in a row that was written before words were stored.
    """

    keys: Sequence[str]
    tags: Sequence[frozenset[str]]
    vectors: Float32
    words: Sequence[Words]


class Taught(NamedTuple):
    """What a row that counts has taught, beside its tags.

    Attributes:
        vector: float32[dimension].
        words: none: the row was written before words were stored, and no word was counted.
    """

    vector: Float32
    words: Words


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
        reread_seconds: least time between two readings of a shared graph.
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
        self._reading: asyncio.Task[None] | None = None
        self._judgements: Spoken | None = None
        self._heard = 0  # of the judgements
        self._hearing: asyncio.Task[None] | None = None

    async def current(self) -> History:
        """What people's labels say.

        Raises:
            DependencyDownError: the graph was never read, and cannot be reached.
            DeadlineError: likewise, and it did not answer in time.
        """
        while (told := self._told) is None:
            await asyncio.shield(self._read())
        if self._shared and time.monotonic() >= self._due:
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

    def held(self, keys: Collection[str]) -> list[str]:
        """Those of the rows that count: what they taught is needed before they are replaced or removed."""
        known = [each.tags for each in (self._told, self._next) if each is not None]
        return [key for key in keys if any(key in tags for tags in known)]

    async def put(self, written: Labels, before: Mapping[str, Taught]) -> None:
        """Rows were written or removed.

        Args:
            written: the rows as they are now.
            before: key → what it taught, of the rows that were ``held``.
        """
        for each in (self._told, self._next):
            if each is not None:
                await each.put(written, before)

    def forget(self) -> None:
        """The graph was emptied."""
        self._told, self._next = _Told(self._dimension), None
        self._told.was_read()

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
        told = self._next = _Told(self._dimension)
        try:
            async for page in self._scan():
                await told.read(page)
            if self._next is not told:
                return  # the graph was emptied, and what was read of it is no more
        finally:
            if self._next is told:
                self._next = None
        told.was_read()
        self._told = told
        ended = time.monotonic()
        self._due = ended + max(self._reread_seconds, (ended - began) / _REREAD_SHARE)


class _Told:
    """What was told of the rows so far.

    Attributes:
        tags: key of each row that counts → its tags.
        written: keys of the rows that were written while the graph was being read: a page may be older. None: it was read.
    """

    def __init__(self, dimension: int) -> None:
        self.tags: dict[str, frozenset[str]] = {}
        self.written: set[str] | None = set()
        self._uses = TagUses()
        self._sums = TagSums(dimension)
        self._words = WordCounts()
        self._history: History | None = None
        self._changed = False
        self._rested = 0.0  # from when on the models may be made anew
        self._one_at_a_time = asyncio.Lock()

    def was_read(self) -> None:
        """No more pages come; what is written from now on need not be remembered."""
        self.written = None

    async def read(self, page: Labels) -> None:
        """Count the rows of a page, but those of which something newer was told."""
        async with self._one_at_a_time:
            known = self.tags.keys() | (self.written or ())
            new = [place for place, key in enumerate(page.keys) if page.tags[place] and key not in known]
            await asyncio.to_thread(self._add, page, new)

    async def put(self, written: Labels, before: Mapping[str, Taught]) -> None:
        """Count rows as they are now."""
        async with self._one_at_a_time:
            if self.written is not None:
                self.written.update(written.keys)
            last = {key: place for place, key in enumerate(written.keys)}
            held = [key for key in last if key in self.tags]
            self._take_away(held, written, last, before)
            for key, place in last.items():
                if not written.tags[place]:
                    self._uses.put(key, ())
            self._changed = self._changed or bool(held)
            self._add(written, [place for place in last.values() if written.tags[place]])

    async def history(self) -> History:
        """What the rows say; later changes do not reach it."""
        async with self._one_at_a_time:
            if self._history is None or (self._changed and time.monotonic() >= self._rested):
                began = time.monotonic()
                discriminant, wording = await asyncio.to_thread(self._models)
                self._changed = False
                ended = time.monotonic()
                self._rested = ended + _REST * (ended - began)
                self._history = History(self._uses.counts(), discriminant, wording)
            elif (uses := self._uses.counts()) is not self._history.uses:
                self._history = replace(self._history, uses=uses)
            return self._history

    def _models(self) -> tuple[Discriminant | None, WordModel | None]:
        return self._sums.discriminant(), self._words.model()

    def _take_away(
        self,
        held: Sequence[str],
        written: Labels,
        places: Mapping[str, int],
        before: Mapping[str, Taught],
    ) -> None:
        """Count rows no longer that are now as ``written``, each at its place there."""
        tags, gone = [], []
        for key in held:
            place, of_key, taught = places[key], self.tags.pop(key), before.get(key)
            if taught is None and written.tags[place]:
                # What was written was read before it was told.
                taught = Taught(written.vectors[place], written.words[place])
            if taught is not None:
                tags.append(of_key)
                gone.append(taught)
        if gone:
            self._count(tags, np.stack([each.vector for each in gone]), [each.words for each in gone], -1)

    def _add(self, rows: Labels, places: Sequence[int]) -> None:
        if not places:
            return
        for place in places:
            self._uses.put(rows.keys[place], rows.tags[place])
            self.tags[rows.keys[place]] = rows.tags[place]
        tags = [rows.tags[place] for place in places]
        self._count(tags, rows.vectors[list(places)], [rows.words[place] for place in places], 1)
        self._changed = True

    def _count(
        self, tags: Sequence[frozenset[str]], vectors: Float32, words: Sequence[Words], times: int
    ) -> None:
        self._sums.add(tags, vectors, times)
        worded = [place for place, each in enumerate(words) if len(each.numbers)]
        self._words.add([tags[place] for place in worded], [words[place] for place in worded], times)


def _log_failure(reading: "asyncio.Task[None]") -> None:
    if not reading.cancelled() and (error := reading.exception()) is not None:
        _log.warning("people's labels could not be read: %s", error)
