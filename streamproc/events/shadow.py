"""``notes.shadow``: where a second bundle's models would have decided otherwise. No output depends on it."""

from typing import Annotated

import msgspec

from streamproc.events.fields import Event, Id
from streamproc.events.tagged import ModelVersions

__all__ = ["NoteShadow", "TagDifference"]

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class TagDifference(Event, frozen=True, omit_defaults=False):
    """A candidate that one of them emits and the other does not, or both with other confidences."""

    tag_id: Id
    live_confidence: Share
    shadow_confidence: Share
    live_emitted: bool
    shadow_emitted: bool


class NoteShadow(Event, frozen=True, omit_defaults=False):
    """A note that both judged, over the same candidates, and not alike. Key: ``note_id``."""

    note_id: Id
    live: ModelVersions
    shadow: ModelVersions
    differences: tuple[TagDifference, ...]
    live_seconds: Seconds
    """Time of tagger and calibrator for the note: its part of its batch."""
    shadow_seconds: Seconds
