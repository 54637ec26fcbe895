"""``graph.notes`` and ``graph.edges``: the content-tag graph as it is written to the log."""

import base64
from enum import StrEnum
from typing import Annotated

import msgspec
import numpy as np

from streamproc.events.fields import Event, Id
from streamproc.events.note import Note
from streamproc.events.position import SourcePosition

__all__ = [
    "GraphEdge",
    "GraphNote",
    "GraphTag",
    "Origin",
    "Provenance",
    "Relation",
    "SimilarTo",
    "pack_vector",
]

Weight = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Provenance(StrEnum):
    """Whose word an edge is. Votes weigh human > import > author > model, whose edges are beliefs, emitted or not."""

    HUMAN = "human"
    IMPORT = "import"
    AUTHOR = "author"
    MODEL = "model"
    """A belief that weighs its confidence, emitted or not: what was decided stands on ``notes.tagged``."""
    ENCODER = "encoder"
    """A similarity, not a label: on ``similar_tag`` and ``similar_note`` edges only."""


class Origin(StrEnum):
    """By which way a note came into the graph; part of its key."""

    STREAM = "stream"
    IMPORT = "import"


class Relation(StrEnum):
    """What an edge says."""

    TAGGED = "tagged"
    SIMILAR_TAG = "similar_tag"
    SIMILAR_NOTE = "similar_note"


class GraphTag(Event, frozen=True):
    """A deterministic edge of a note (LLM4Tag, 3.1): the note carries the tag."""

    tag_id: Id
    weight: Weight
    provenance: Provenance
    confidence: Weight | None = None


class SimilarTo(Event, frozen=True):
    """A similarity edge of a note: the cosine to a tag or to another note."""

    target: Id
    similarity: Annotated[float, msgspec.Meta(ge=-1, le=1)]


class GraphNote(Event, frozen=True):
    """A note with its edges. Key: JSON array ``[note_id, origin]``; the last record per key is the truth."""

    note: Note
    origin: Origin
    content_hash: str
    source: SourcePosition
    encoder: str
    """Hash of the float weights of the encoder that made ``vector``."""
    vector: str = ""
    """Base64 of float16[dimension], little-endian; empty: the graph agent embeds the note."""
    tags: Annotated[tuple[GraphTag, ...], msgspec.Meta(max_length=256)] = ()
    similar_tags: Annotated[tuple[SimilarTo, ...], msgspec.Meta(max_length=256)] = ()
    similar_notes: Annotated[tuple[SimilarTo, ...], msgspec.Meta(max_length=256)] = ()

    def unpack_vector(self) -> np.ndarray | None:
        """Return the vector, float32[dimension], or None where the record carries none."""
        if not self.vector:
            return None
        return np.frombuffer(base64.b64decode(self.vector), dtype="<f2").astype(np.float32)


class GraphEdge(Event, frozen=True):
    """One edge. Key: JSON array ``[source, relation, target, provenance]``; a null value removes it."""

    source: Id
    relation: Relation
    target: Id
    provenance: Provenance
    weight: Annotated[float, msgspec.Meta(ge=-1, le=1)]
    note_id: Id


def pack_vector(vector: np.ndarray) -> str:
    """Encode float32[dimension] as base64 of float16, little-endian."""
    return base64.b64encode(vector.astype("<f2").tobytes()).decode("ascii")
