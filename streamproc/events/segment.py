"""``knowledge.changes``: definitions, rules and handbook passages that people write."""

from enum import StrEnum
from typing import Annotated

import msgspec

from streamproc.events.fields import Event, Id, Paragraph

__all__ = ["SegmentChange", "SegmentKind"]


class SegmentKind(StrEnum):
    """What a segment is for."""

    DEFINITION = "definition"
    RULE = "rule"
    HANDBOOK = "handbook"


class SegmentChange(Event, frozen=True):
    """One passage of knowledge. Key: ``segment_id``; a null value removes it."""

    segment_id: Id
    kind: SegmentKind
    text: Paragraph
    tag_ids: Annotated[tuple[Id, ...], msgspec.Meta(max_length=256)] = ()
    category: Annotated[str, msgspec.Meta(max_length=256)] = ""
