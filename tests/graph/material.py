"""Notes, tags and an encoder for the graph's tests."""

import hashlib
from collections.abc import Sequence

import numpy as np
import orjson

from streamproc.events.codec import content_hash, encode, graph_note_key
from streamproc.events.graph import GraphNote, GraphTag, Origin, Provenance, SimilarTo, pack_vector
from streamproc.events.note import Note
from streamproc.events.position import Source, SourcePosition
from streamproc.events.record import InputRecord
from streamproc.graph.rows import NoteRow, StoredNote, unit
from streamproc.graph.wording import Words, pack_words, words_of
from streamproc.inference.protocols import Encoded

DIMENSION = 16
ENCODER_HASH = "e" * 64
TOPIC = "graph.notes"


class WordEncoder:
    """Texts to vectors, by hash: equal texts are near, others are not."""

    dimension = DIMENSION
    weights_hash = ENCODER_HASH

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def encode(self, texts: Sequence[str]) -> Encoded:
        self.texts += texts
        return Encoded(np.stack([vector_of(text) for text in texts]), np.zeros(len(texts), dtype=np.bool_))


def vector_of(text: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    return unit(np.random.default_rng(seed).standard_normal((1, DIMENSION)).astype(np.float32))[0]


def tagged(tag_id: str, weight: float = 1.0, provenance: Provenance = Provenance.IMPORT) -> GraphTag:
    return GraphTag(tag_id=tag_id, weight=weight, provenance=provenance)


def near(target: str, similarity: float = 0.5) -> SimilarTo:
    return SimilarTo(target=target, similarity=similarity)


def stored(note_id: str, *tags: GraphTag, origin: Origin = Origin.STREAM, **fields: object) -> StoredNote:
    return StoredNote(note_id, origin, "h" * 32, SourcePosition("notes.new", 0, 1), tags, **fields)


def row(
    note_id: str,
    *tags: GraphTag,
    origin: Origin = Origin.STREAM,
    vector: np.ndarray | None = None,
    text: str = "",
) -> NoteRow:
    """A row; one without a text was written before words were stored."""
    note = stored(note_id, *tags, origin=origin, words=pack_words(words(text)))
    return NoteRow(note, vector_of(note_id) if vector is None else vector)


def words(text: str) -> Words:
    return words_of(Note(note_id="any", text=text))


def graph_note(
    note_id: str,
    *tags: GraphTag,
    origin: Origin = Origin.STREAM,
    text: str | None = None,
    vector: np.ndarray | None = None,
    encoder: str = ENCODER_HASH,
    **fields: object,
) -> GraphNote:
    note = Note(note_id=note_id, text=text or f"the text of {note_id}")
    return GraphNote(
        note=note,
        origin=origin,
        content_hash=content_hash(note),
        source=SourcePosition("notes.new", 0, 7),
        encoder=encoder,
        vector="" if vector is None else pack_vector(vector),
        tags=tags,
        **fields,
    )


def source(offset: int, topic: str = TOPIC, partition: int = 0) -> Source:
    return Source(SourcePosition(topic, partition, offset), 1_700_000_000_000 + offset)


def record(offset: int, note: GraphNote, *, partition: int = 0) -> InputRecord:
    key = graph_note_key(note.note.note_id, note.origin)
    return InputRecord(source(offset, partition=partition), key, encode(note))


def tombstone(offset: int, note_id: str, origin: Origin = Origin.STREAM) -> InputRecord:
    return InputRecord(source(offset), orjson.dumps([note_id, origin.value]), None)
