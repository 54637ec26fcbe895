"""``notes.tagged``: what consumers subscribe to."""

from enum import StrEnum
from typing import Annotated

import msgspec

from streamproc.events.fields import Event, Id, Name, Word
from streamproc.events.graph import Provenance

__all__ = [
    "AppliedOffsets",
    "EmittedTag",
    "ModelVersions",
    "NeighbourEvidence",
    "NoteOutcome",
    "NoteTagged",
    "RecallPath",
    "RelatedNote",
    "TagEvidence",
]

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Cosine = Annotated[float, msgspec.Meta(ge=-1, le=1)]


class NoteOutcome(StrEnum):
    """What became of a note that could be read."""

    TAGGED = "tagged"
    UNSUPPORTED_LANGUAGE = "unsupported_language"


class RecallPath(StrEnum):
    """A way from a note to a tag in the graph (LLM4Tag, 3.1), or beside it."""

    C2T = "c2t"
    C2C2T = "c2c2t"
    LEXICAL = "lexical"


class NeighbourEvidence(Event, frozen=True):
    """A similar note that carries the tag."""

    note_id: Id
    similarity: Cosine
    weight: Share
    provenance: Provenance


class TagEvidence(Event, frozen=True):
    """Why a tag was considered."""

    similarity: Cosine | None = None
    """Cosine of the note's and the tag's vectors, where the tag was near enough to be found by it."""
    neighbours: tuple[NeighbourEvidence, ...] = ()
    """The most similar notes that carry the tag, nearest first, at most three."""
    match: str = ""
    """The name or synonym as it stands in the note."""
    segments: tuple[Id, ...] = ()
    """Passages of knowledge about the tag that were retrieved for the note."""


class EmittedTag(Event, frozen=True):
    """A tag of a note. ``confidence`` is a calibrated probability that the tag is right."""

    tag_id: Id
    name: Name
    kind: Word
    confidence: Share
    rank: Annotated[int, msgspec.Meta(ge=1)]
    paths: tuple[RecallPath, ...]
    evidence: TagEvidence


class RelatedNote(Event, frozen=True):
    """A similar note of the graph."""

    note_id: Id
    similarity: Cosine


class ModelVersions(Event, frozen=True):
    """The models that made an outcome."""

    bundle: Word
    encoder: str
    tagger: str
    calibrator: str


class AppliedOffsets(Event, frozen=True, omit_defaults=False):
    """How far the worker had read what people publish; -1: nothing yet."""

    tags: int = -1
    knowledge: int = -1
    labels: tuple[int, ...] = ()
    """The last offset of each partition of ``notes.labels``."""


class NoteTagged(Event, frozen=True, omit_defaults=False):
    """The outcome of one note. Key: ``note_id``; the last record per key counts."""

    note_id: Id
    outcome: NoteOutcome
    models: ModelVersions
    applied: AppliedOffsets
    tags: tuple[EmittedTag, ...] = ()
    review: tuple[EmittedTag, ...] = ()
    """Tags that count once a person says so: by their policy, or because they are not sure enough to be accepted."""
    related: tuple[RelatedNote, ...] = ()
    truncated: bool = False
    """Whether part of the note lay beyond what the models read."""
