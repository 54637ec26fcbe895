"""Lines of a file through the pipeline, in the order of the file."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass

from streamproc.errors import PoisonError
from streamproc.events.codec import DEFAULT_LIMITS, Limits
from streamproc.events.files import Line, note_from_line
from streamproc.events.position import Source, SourcePosition
from streamproc.pipeline.outcome import Outcome, SourcedNote
from streamproc.pipeline.tagging import Pipeline

__all__ = ["RejectedLine", "tag_lines"]


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """A line that is not a note, and why."""

    line: Line
    reason: PoisonError


@dataclass(frozen=True, slots=True)
class _Batch:
    """Some lines: their notes, and what was rejected, each under its place among the lines."""

    notes: tuple[SourcedNote, ...]
    rejected: tuple[tuple[int, RejectedLine], ...]
    size: int


async def tag_lines(
    lines: Iterable[Line],
    file_name: str,
    pipeline: Pipeline,
    batch_size: int,
    *,
    ahead: int = 2,
    limits: Limits = DEFAULT_LIMITS,
) -> AsyncIterator[list[Outcome | RejectedLine]]:
    """Tag the lines batch by batch; what comes out stands in the order of what went in.

    Args:
        lines: of the file.
        file_name: stands for the topic in the outcomes' source positions.
        pipeline: tags the notes.
        batch_size: lines a batch.
        ahead: batches in work at once: while one waits for the models, another's candidates are recalled. 1 where
            each batch is to see what the one before it added to the graph.
        limits: on a note.
    """
    working: deque[asyncio.Task[list[Outcome | RejectedLine]]] = deque()
    try:
        for batch in _batches(lines, file_name, batch_size, limits):
            working.append(asyncio.create_task(_tagged(batch, pipeline)))
            if len(working) >= ahead:
                yield await working.popleft()
        while working:
            yield await working.popleft()
    finally:
        for task in working:
            task.cancel()
        # Whoever asked closes the graph next: nothing may still be reading it.
        await asyncio.gather(*working, return_exceptions=True)


def _batches(lines: Iterable[Line], file_name: str, batch_size: int, limits: Limits) -> Iterator[_Batch]:
    notes: list[SourcedNote] = []
    rejected: list[tuple[int, RejectedLine]] = []
    for line in lines:
        try:
            note = note_from_line(line.value, limits)
            notes.append(SourcedNote(note, Source(SourcePosition(file_name, 0, line.number), 0)))
        except PoisonError as error:
            rejected.append((len(notes) + len(rejected), RejectedLine(line, error)))
        if len(notes) + len(rejected) == batch_size:
            yield _Batch(tuple(notes), tuple(rejected), batch_size)
            notes, rejected = [], []
    if notes or rejected:
        yield _Batch(tuple(notes), tuple(rejected), len(notes) + len(rejected))


async def _tagged(batch: _Batch, pipeline: Pipeline) -> list[Outcome | RejectedLine]:
    outcomes: list[Outcome | RejectedLine] = list(await pipeline.tag(batch.notes)) if batch.notes else []
    for place, rejected in batch.rejected:  # by rising place, so that each insertion lands where it belongs
        outcomes.insert(place, rejected)
    return outcomes
