"""What recall reads beside the graph: the tag repository and people's judgements, each as of one moment."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from streamproc.events.tag import TagChange
from streamproc.knowledge.lexical import LexicalIndex

__all__ = ["Judged", "TagView"]


class TagView(Protocol):
    """The tag repository as of one moment."""

    @property
    def lexical(self) -> LexicalIndex:
        """The index over names, synonyms and definitions of its active tags."""
        ...

    def resolve(self, tag_id: str) -> TagChange | None:
        """The active tag that this id stands for, merges followed; None: unknown, deprecated or removed."""
        ...

    def merged(self, tag_id: str) -> Collection[str]:
        """The ids that stand for this tag beside its own: those merged into it, directly or by way of others."""
        ...

    def segment_tags(self, segment_id: str) -> Sequence[str]:
        """Ids of the tags that a passage of knowledge is about; empty where it is unknown."""
        ...


class Judged(Protocol):
    """People's judgements as of one moment."""

    def of(self, note_id: str) -> Mapping[str, bool]:
        """Tag id → whether it is right, for the tags of this note on which people have spoken."""
        ...

    def confirmed(self, tag_id: str) -> int:
        """On how many notes people confirmed this tag."""
        ...
