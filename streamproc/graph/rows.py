"""Rows of the graph's collections: what stands in them and how it is packed.

The edges that vote in recall are one compact string, because every neighbour of every note brings
them along; what only the graph agent needs stands in another column that a search leaves out, and so do
the words of the note, which count once people label it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from sys import intern

import msgspec
import numpy as np
import numpy.typing as npt

from streamproc.errors import OutputTooLargeError
from streamproc.events.graph import GraphNote, GraphTag, Origin, Provenance, SimilarTo
from streamproc.events.position import SourcePosition
from streamproc.graph.hits import Edge
from streamproc.graph.keys import note_row_key
from streamproc.graph.wording import Words, pack_words, unpack_words, words_of

__all__ = [
    "MAX_COLUMN_BYTES",
    "NoteRow",
    "StoredNote",
    "VertexRow",
    "merge_edges",
    "pack_details",
    "pack_edges",
    "stored_note",
    "unit",
    "unpack_details",
    "unpack_edges",
    "words_in",
]

Float32 = npt.NDArray[np.float32]

MAX_COLUMN_BYTES = 65_535
"""Where Milvus ends a VARCHAR."""

STRENGTH = {
    Provenance.HUMAN: 4,
    Provenance.IMPORT: 3,
    Provenance.AUTHOR: 2,
    Provenance.MODEL: 1,
    Provenance.ENCODER: 0,
}
"""Whose word counts where two rows of one note name the same tag."""

_LETTER = {
    Provenance.HUMAN: "h",
    Provenance.IMPORT: "i",
    Provenance.AUTHOR: "a",
    Provenance.MODEL: "m",
    Provenance.ENCODER: "e",
}
_PROVENANCE = {letter: provenance for provenance, letter in _LETTER.items()}


class StoredNote(msgspec.Struct, frozen=True):
    """A note of the graph without its vector: what the next record of its key is compared with.

    ``words`` are as :func:`~streamproc.graph.wording.pack_words` packs them. None stand in a row that was written before
    words were stored, or before those of notes that nobody had labelled were.
    """

    note_id: str
    origin: Origin
    content_hash: str
    source: SourcePosition
    tags: tuple[GraphTag, ...] = ()
    similar_tags: tuple[SimilarTo, ...] = ()
    similar_notes: tuple[SimilarTo, ...] = ()
    words: str = ""

    @property
    def key(self) -> str:
        """The key of its row."""
        return note_row_key(self.note_id, self.origin)


@dataclass(frozen=True, slots=True)
class NoteRow:
    """A note as it is written.

    Attributes:
        note: what the row says.
        vector: float32[dimension], of unit length.
    """

    note: StoredNote
    vector: Float32


@dataclass(frozen=True, slots=True)
class VertexRow:
    """A tag or a segment as it is written.

    Attributes:
        identifier: the tag's or the segment's id.
        vector: float32[dimension], of unit length.
    """

    identifier: str
    vector: Float32


class _Details(msgspec.Struct, frozen=True, array_like=True):
    content_hash: str
    source: SourcePosition
    confidences: tuple[float | None, ...]
    similar_tags: tuple[tuple[str, float], ...]
    similar_notes: tuple[tuple[str, float], ...]
    words: str = ""


class _WordsOnly(msgspec.Struct, frozen=True, array_like=True):
    """:class:`_Details` of which the last member alone is decoded."""

    content_hash: msgspec.Raw
    source: msgspec.Raw
    confidences: msgspec.Raw
    similar_tags: msgspec.Raw
    similar_notes: msgspec.Raw
    words: str = ""


_ENCODER = msgspec.json.Encoder()
_EDGES = msgspec.json.Decoder(tuple[tuple[str, float, str], ...])
_DETAILS = msgspec.json.Decoder(_Details)
_WORDS_ONLY = msgspec.json.Decoder(_WordsOnly)


def stored_note(note: GraphNote) -> StoredNote:
    """What the graph keeps of a record of ``graph.notes``."""
    return StoredNote(
        note.note.note_id,
        note.origin,
        note.content_hash,
        note.source,
        note.tags,
        note.similar_tags,
        note.similar_notes,
        pack_words(words_of(note.note)),
    )


def pack_edges(tags: Iterable[GraphTag]) -> str:
    """Pack deterministic edges: JSON ``[[tag_id, weight, first letter of the provenance], …]``.

    Raises:
        OutputTooLargeError: they exceed a column of Milvus.
    """
    packed = _ENCODER.encode([(tag.tag_id, tag.weight, _LETTER[tag.provenance]) for tag in tags])
    return _within_column(packed, "tags")


def unpack_edges(packed: str) -> tuple[Edge, ...]:
    """Read what :func:`pack_edges` wrote; equal tag ids are one object."""
    return tuple(
        Edge(intern(tag_id), weight, _PROVENANCE[letter]) for tag_id, weight, letter in _EDGES.decode(packed)
    )


def pack_details(note: StoredNote) -> str:
    """Pack what a search leaves out: hash, source, confidences, similarity edges, words.

    Words take 7 kB at most. Where they do not fit beside the similarity edges, the row goes without them.

    Raises:
        OutputTooLargeError: it exceeds a column of Milvus even without words.
    """
    details = _Details(
        note.content_hash,
        note.source,
        tuple(tag.confidence for tag in note.tags),
        tuple((near.target, near.similarity) for near in note.similar_tags),
        tuple((near.target, near.similarity) for near in note.similar_notes),
        note.words,
    )
    packed = _ENCODER.encode(details)
    if len(packed) > MAX_COLUMN_BYTES:
        packed = _ENCODER.encode(msgspec.structs.replace(details, words=""))
    return _within_column(packed, "similarity edges")


def unpack_details(note_id: str, origin: Origin, edges: str, details: str) -> StoredNote:
    """Read a row back."""
    read = _DETAILS.decode(details)
    return StoredNote(
        note_id,
        origin,
        read.content_hash,
        read.source,
        tuple(
            GraphTag(tag_id=tag_id, weight=weight, provenance=provenance, confidence=confidence)
            for (tag_id, weight, provenance), confidence in zip(
                unpack_edges(edges), read.confidences, strict=True
            )
        ),
        tuple(SimilarTo(target=target, similarity=similarity) for target, similarity in read.similar_tags),
        tuple(SimilarTo(target=target, similarity=similarity) for target, similarity in read.similar_notes),
        read.words,
    )


def words_in(details: str) -> Words:
    """The words of a note, from what :func:`pack_details` packed; none where it holds none."""
    return unpack_words(_WORDS_ONLY.decode(details).words)


def merge_edges(rows: Iterable[tuple[Edge, ...]]) -> tuple[Edge, ...]:
    """The edges of one note from its rows (streamed, imported), one a tag, in order of first mention.

    The strongest provenance speaks for a tag, then the greatest weight.
    """
    best: dict[str, Edge] = {}
    for edges in rows:
        for edge in edges:
            known = best.get(edge.tag_id)
            if known is None or _rank(edge) > _rank(known):
                best[edge.tag_id] = edge
    return tuple(best.values())


def unit(vectors: Float32) -> Float32:
    """Vectors of unit length, float32[n, dimension]; a zero vector stays zero.

    Vectors come from the log in float16, which leaves lengths off by up to one in a thousand.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32, copy=False)


def _rank(edge: Edge) -> tuple[int, float]:
    return STRENGTH[edge.provenance], edge.weight


def _within_column(packed: bytes, what: str) -> str:
    if len(packed) > MAX_COLUMN_BYTES:
        raise OutputTooLargeError(
            f"the {what} of the note take {len(packed)} bytes; a row of the graph holds {MAX_COLUMN_BYTES}"
        )
    return packed.decode()
