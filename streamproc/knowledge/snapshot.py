"""All that people publish, taken once a batch: tags, judgements, passages, and how far they were read."""

from dataclasses import dataclass, field

from streamproc.events.tagged import AppliedOffsets
from streamproc.knowledge.judgements import Judgements, JudgementsSnapshot
from streamproc.knowledge.repository import Repository, RepositorySnapshot
from streamproc.knowledge.segments import Segments, SegmentsSnapshot

__all__ = ["Knowledge", "KnowledgeSnapshot"]


@dataclass(frozen=True, slots=True)
class KnowledgeSnapshot:
    """What people had published when a batch began; it never changes."""

    tags: RepositorySnapshot
    judgements: JudgementsSnapshot
    segments: SegmentsSnapshot

    @property
    def applied(self) -> AppliedOffsets:
        """How far the topics had been read; recorded in every outcome."""
        return AppliedOffsets(
            tags=self.tags.offset, knowledge=self.segments.offset, labels=self.judgements.offsets
        )


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The three states that the tails of a worker keep current."""

    repository: Repository = field(default_factory=Repository)
    judgements: Judgements = field(default_factory=Judgements)
    segments: Segments = field(default_factory=Segments)

    def snapshot(self) -> KnowledgeSnapshot:
        """All three as they are now."""
        return KnowledgeSnapshot(
            self.repository.snapshot(), self.judgements.snapshot(), self.segments.snapshot()
        )
