"""``tags.changes``: the tag repository, one whole state of a tag per record."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from streamproc.events.fields import Event, Id, Name, Paragraph, Word

__all__ = ["TagChange", "TagPolicy", "TagStatus"]


class TagStatus(StrEnum):
    """Where a tag stands in its life."""

    ACTIVE = "active"
    DEPRECATED = "deprecated"
    MERGED = "merged"


class TagPolicy(StrEnum):
    """Who may decide that a note gets the tag."""

    AUTO = "auto"
    REVIEW = "review"
    MANUAL_ONLY = "manual_only"


class TagChange(Event, frozen=True):
    """The whole state of a tag. Key: ``tag_id`` (given, or else the exact name in NFC)."""

    tag_id: Id
    name: Name
    changed_at: datetime
    kind: Word = "topic"
    status: TagStatus = TagStatus.ACTIVE
    merged_into: Id | None = None
    description: Paragraph = ""
    synonyms: Annotated[tuple[Name, ...], msgspec.Meta(max_length=256)] = ()
    parents: Annotated[tuple[Id, ...], msgspec.Meta(max_length=64)] = ()
    policy: TagPolicy = TagPolicy.AUTO
    changed_by: Id | None = None
    reason: Paragraph = ""
