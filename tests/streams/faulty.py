"""Workers' parts that fail as a test wants it: while Milvus is away, or whenever one note is among a batch."""

import dataclasses

from streamproc.errors import DependencyDownError
from tests.streams.fixed import FixedPipeline, fixed_parts

__all__ = ["BAD_NOTE", "MilvusOutage", "PickyPipeline", "parts_of_outage"]

BAD_NOTE = "bad"


class MilvusOutage:
    """Lasts until :meth:`end`. As a dependency it is what a worker's health asks."""

    name = "Milvus"

    def __init__(self):
        self._down = True

    async def check(self):
        if self._down:
            raise DependencyDownError("Milvus", "connection refused")

    def end(self):
        self._down = False


async def parts_of_outage(path, outage):
    """Parts that tag nothing, and whose Milvus is down, while the outage lasts; the graph itself is there."""

    class Recall(FixedPipeline):
        async def tag(self, notes):
            await outage.check()
            return await super().tag(notes)

    return dataclasses.replace(await fixed_parts(path, Recall), dependencies=(outage,))


class PickyPipeline(FixedPipeline):
    """Fails on every batch in which the bad note is."""

    async def tag(self, notes):
        if any(each.note.note_id == BAD_NOTE for each in notes):
            raise ValueError("cannot digest this")
        return await super().tag(notes)
