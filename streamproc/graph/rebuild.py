"""The graph built anew from the topics: what the agents would have written, read from the start."""

from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass

from streamproc.errors import PoisonError
from streamproc.events.codec import decode_segment, decode_tag
from streamproc.events.record import InputRecord
from streamproc.events.segment import SegmentChange
from streamproc.events.tag import TagChange
from streamproc.graph.writer import GraphWriter, last_offsets
from streamproc.knowledge.repository import Repository

__all__ = ["Batches", "Progress", "RebuildReport", "rebuild"]

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
    report = RebuildReport()
    repository = Repository()
    async for batch in tags:
        changes = _valid_tags(batch, repository)
        await writer.apply_tags(changes, last_offsets(batch))
        report = RebuildReport(
            report.tags + len(batch),
            report.segments,
            report.notes,
            report.passed_over + len(batch) - len(changes),
        )
        progress(report)
    async for batch in knowledge:
        segments = _readable_segments(batch)
        await writer.apply_segments(segments, last_offsets(batch))
        report = RebuildReport(
            report.tags,
            report.segments + len(batch),
            report.notes,
            report.passed_over + len(batch) - len(segments),
        )
        progress(report)
    async for batch in notes:
        plan = await writer.plan(batch)
        await writer.apply(plan)
        report = RebuildReport(
            report.tags, report.segments, report.notes + len(batch), report.passed_over + len(plan.rejected)
        )
        progress(report)
    return report


def _valid_tags(batch: Sequence[InputRecord], repository: Repository) -> list[TagChange]:
    valid = []
    for record in batch:
        try:
            change = decode_tag(record.value, record.key)
            repository.apply(change, record.source.position.offset)
        except PoisonError:
            continue
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
