"""The repository and its passages as recall reads them, at one moment."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from streamproc.events.tag import TagChange
from streamproc.knowledge.lexical import LexicalIndex
from streamproc.knowledge.snapshot import KnowledgeSnapshot

__all__ = ["KnowledgeView"]


@dataclass(frozen=True, slots=True)
class KnowledgeView:
    """Implements ``recall.TagView``; what an id stands for is looked up once."""

    snapshot: KnowledgeSnapshot
    _resolved: dict[str, TagChange | None] = field(default_factory=dict)

    @property
    def lexical(self) -> LexicalIndex:
        """The index over names, synonyms and definitions of the tags that recall may propose."""
        return self.snapshot.tags.lexical

    def resolve(self, tag_id: str) -> TagChange | None:
        """The active tag that this id stands for, merges followed; None: there is none."""
        tag = self._resolved.get(tag_id)
        if tag is None and tag_id not in self._resolved:
            tag = self._resolved[tag_id] = self.snapshot.tags.resolve(tag_id)
        return tag

    def merged(self, tag_id: str) -> Collection[str]:
        """The ids that were merged into this one, directly or by way of others."""
        return self.snapshot.tags.merged(tag_id)

    def segment_tags(self, segment_id: str) -> Sequence[str]:
        """Ids of the tags that a passage of knowledge is about."""
        segment = self.snapshot.segments.get(segment_id)
        return () if segment is None else segment.tag_ids
