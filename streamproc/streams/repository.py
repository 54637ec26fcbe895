"""The repository agent's work: what people publish becomes rows of the graph, and what is wrong a dead letter.

It reads ``tags.changes``, ``knowledge.changes`` and, only to dead-letter what is invalid, ``notes.labels``. Every
worker's tails skip invalid records in silence; this agent, of which the group has one a partition, reports each once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from streamproc.errors import InvalidChangeError, PoisonError
from streamproc.events.codec import decode_judgement, decode_segment, decode_tag
from streamproc.events.record import InputRecord
from streamproc.events.segment import SegmentChange
from streamproc.events.tag import TagChange
from streamproc.graph.view import Partition
from streamproc.graph.writer import last_offsets
from streamproc.observability import metrics
from streamproc.streams.dead_letter import Cause
from streamproc.streams.failure import Failed, FailurePolicy
from streamproc.streams.lane import DEAD, Prepared, dead
from streamproc.streams.outputs import Outputs

__all__ = ["KnowledgeWriter", "RepositoryWork", "Verdicts"]

APPLIED = "applied"


class KnowledgeWriter(Protocol):
    """What is needed of the graph's writer."""

    async def apply_tags(self, changes: Sequence[TagChange], offsets: Mapping[Partition, int]) -> None:
        """Write tags, and how far ``tags.changes`` is applied."""
        ...

    async def apply_segments(
        self, changes: Sequence[SegmentChange | str], offsets: Mapping[Partition, int]
    ) -> None:
        """Write and remove passages, and how far ``knowledge.changes`` is applied."""
        ...


class Verdicts(Protocol):
    """What the tail of ``tags.changes`` found of each change, on the state that it met."""

    async def tag_rejection(self, offset: int) -> str | None:
        """Why the change at this offset contradicts the repository; None: it does not. Waits for the tail."""
        ...


@dataclass(frozen=True, slots=True)
class _Change:
    """A record to be written: ``change`` is None where only its offset counts."""

    record: InputRecord
    change: TagChange | SegmentChange | str | None


class RepositoryWork:
    """Turns records of the three topics into rows and dead letters."""

    name = "repository"
    stage = "repository"

    def __init__(
        self, writer: KnowledgeWriter, verdicts: Verdicts, policy: FailurePolicy, outputs: Outputs
    ) -> None:
        self._writer = writer
        self._verdicts = verdicts
        self._policy = policy
        self._outputs = outputs
        for correct in ("true", "false"):
            metrics.JUDGEMENTS.labels(correct)
        names = outputs.names
        self._readers: dict[str, Callable[[InputRecord], TagChange | SegmentChange | str | None]] = {
            names.tags_changes: lambda record: decode_tag(record.value, record.key),
            names.knowledge_changes: lambda record: decode_segment(record.value, record.key),
            names.notes_labels: _judgement,
        }

    async def prepare(self, records: Sequence[InputRecord]) -> Sequence[Prepared]:
        """Read the records; the only outputs are dead letters."""
        return [await self._read(record) for record in records]

    async def settle(self, prepared: Sequence[Prepared]) -> Sequence[Prepared]:
        """Write the rows and how far each topic is applied."""
        names = self._outputs.names
        died: list[Prepared] = []
        for topic, apply in (
            (names.tags_changes, self._apply_tags),
            (names.knowledge_changes, self._apply_segments),
        ):
            changes = [
                _Change(item.record, item.state)
                for item in prepared
                if item.record.source.position.topic == topic
            ]
            results = await self._policy.carry(changes, apply) if changes else []
            failed = [
                dead(self._outputs, change.record, Cause(result.error, self.stage, result.attempts))
                for change, result in zip(changes, results, strict=True)
                if isinstance(result, Failed)
            ]
            if failed:
                # They count as applied all the same: a graph without them is not behind the commits.
                for nothing in await self._policy.carry(
                    [_Change(each.record, None) for each in changes], apply
                ):
                    if isinstance(nothing, Failed):
                        raise nothing.error
            died += failed
        return died

    async def _read(self, record: InputRecord) -> Prepared:
        position = record.source.position
        try:
            change = self._readers[position.topic](record)
            if isinstance(change, TagChange):
                rejection = await self._verdicts.tag_rejection(position.offset)
                if rejection is not None:
                    raise InvalidChangeError(rejection)
        except PoisonError as error:
            letter = dead(self._outputs, record, Cause(error, self.stage))
            return Prepared(record, letter.outputs, DEAD)
        return Prepared(record, (), APPLIED, change)

    async def _apply_tags(self, changes: Sequence[_Change]) -> Sequence[None]:
        tags = [each.change for each in changes if isinstance(each.change, TagChange)]
        await self._writer.apply_tags(tags, last_offsets([each.record for each in changes]))
        return [None] * len(changes)

    async def _apply_segments(self, changes: Sequence[_Change]) -> Sequence[None]:
        segments = [each.change for each in changes if isinstance(each.change, SegmentChange | str)]
        await self._writer.apply_segments(segments, last_offsets([each.record for each in changes]))
        return [None] * len(changes)


def _judgement(record: InputRecord) -> None:
    judgement = decode_judgement(record.value, record.key)
    metrics.JUDGEMENTS.labels(str(judgement.correct).lower()).inc()
