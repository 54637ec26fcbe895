"""The graph built anew from the topics: what the agents would have written, read from the start."""

from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from dataclasses import dataclass

from streamproc.errors import PoisonError
from streamproc.events.codec import decode_segment, decode_tag
from streamproc.events.record import InputRecord
from streamproc.events.segment import SegmentChange
from streamproc.events.tag import TagChange
from streamproc.graph.view import Partition
from streamproc.graph.writer import GraphWriter, last_offsets
from streamproc.knowledge.repository import Repository

__all__ = ["Batches", "Progress", "RebuildReport", "catch_up", "rebuild"]

Batches = AsyncIterable[Sequence[InputRecord]]
"""Records of one topic from its start, in the order of the log within each partition; ends where the log ends."""


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What a rebuild read.

    Attributes:
        tags: records of ``tags.changes``.
        segments: records of ``knowledge.changes``.
        notes: records of ``graph.notes``.
        passed_over: records that no agent can apply; they are in ``notes.dead``, or are not ours.
    """

    tags: int = 0
    segments: int = 0
    notes: int = 0
    passed_over: int = 0


Progress = Callable[[RebuildReport], None]


async def rebuild(
    writer: GraphWriter, *, tags: Batches, knowledge: Batches, notes: Batches, progress: Progress
) -> RebuildReport:
    """Empty the graph and apply the topics from the start.

    Edges are not published: those on ``graph.edges`` come from the same records.

    Args:
        writer: of the graph to be rebuilt; no worker may run meanwhile.
        tags: ``tags.changes``.
        knowledge: ``knowledge.changes``.
        notes: ``graph.notes``.
        progress: called after each batch with what was read so far.

    Raises:
        DependencyDownError: Milvus or the encoder cannot be reached; run it again.
    """
    await writer.graph.clear()
    return await catch_up(writer, tags=tags, knowledge=knowledge, notes=notes, progress=progress)


async def catch_up(
    writer: GraphWriter, *, tags: Batches, knowledge: Batches, notes: Batches, progress: Progress
) -> RebuildReport:
    """Apply what the graph lacks, as its applied offsets say.

    Args:
        writer: of a graph that nobody else writes to meanwhile.
        tags: ``tags.changes`` from its start: whether a change is valid depends on all before it.
        knowledge: ``knowledge.changes``; records that are applied already are passed over.
        notes: ``graph.notes``; likewise.
        progress: called after each batch with what was applied so far.

    Raises:
        DependencyDownError: Milvus or the encoder cannot be reached; run it again.
    """
    applied = await writer.applied_offsets()
    report = RebuildReport()
    repository = Repository()
    async for batch in tags:
        missing = _missing(batch, applied)
        changes = _valid_tags(batch, repository, applied)
        if missing:
            await writer.apply_tags(changes, last_offsets(missing))
        report = RebuildReport(
            report.tags + len(missing),
            report.segments,
            report.notes,
            report.passed_over + len(missing) - len(changes),
        )
        progress(report)
    async for batch in knowledge:
        missing = _missing(batch, applied)
        segments = _readable_segments(missing)
        if missing:
            await writer.apply_segments(segments, last_offsets(missing))
        report = RebuildReport(
            report.tags,
            report.segments + len(missing),
            report.notes,
            report.passed_over + len(missing) - len(segments),
        )
        progress(report)
    async for batch in notes:
        missing = _missing(batch, applied)
        if not missing:
            continue
        plan = await writer.plan(missing)
        await writer.apply(plan)
        report = RebuildReport(
            report.tags,
            report.segments,
            report.notes + len(missing),
            report.passed_over + len(plan.rejected),
        )
        progress(report)
    return report


def _missing(batch: Sequence[InputRecord], applied: Mapping[Partition, int]) -> list[InputRecord]:
    return [record for record in batch if _is_missing(record, applied)]


def _is_missing(record: InputRecord, applied: Mapping[Partition, int]) -> bool:
    position = record.source.position
    return position.offset > applied.get((position.topic, position.partition), -1)


def _valid_tags(
    batch: Sequence[InputRecord], repository: Repository, applied: Mapping[Partition, int]
) -> list[TagChange]:
    """The valid changes that are missing; the repository meets all of them."""
    valid = []
    for record in batch:
        try:
            change = decode_tag(record.value, record.key)
            repository.apply(change, record.source.position.offset)
        except PoisonError:
            continue
        if _is_missing(record, applied):
            valid.append(change)
    return valid


def _readable_segments(batch: Sequence[InputRecord]) -> list[SegmentChange | str]:
    readable = []
    for record in batch:
        try:
            readable.append(decode_segment(record.value, record.key))
        except PoisonError:
            continue
    return readable
