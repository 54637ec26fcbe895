"""Bytes to events and back. Every way in which a record can be wrong becomes one :class:`PoisonError`."""

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import orjson

from streamproc.errors import DecodeError, KeyMismatchError
from streamproc.events.fields import Event
from streamproc.events.graph import GraphEdge, GraphNote, Origin
from streamproc.events.headers import check_headers
from streamproc.events.label import Judgement
from streamproc.events.mismatch import explained
from streamproc.events.note import Note, NoteDeleted
from streamproc.events.segment import SegmentChange
from streamproc.events.shadow import NoteShadow
from streamproc.events.tag import TagChange
from streamproc.events.tagged import NoteTagged

__all__ = [
    "DEFAULT_LIMITS",
    "Limits",
    "content_hash",
    "decode_edge",
    "decode_graph_note",
    "decode_judgement",
    "decode_note",
    "decode_segment",
    "decode_shadow",
    "decode_tag",
    "decode_tagged",
    "edge_key",
    "encode",
    "graph_note_key",
    "normalise_name",
]

E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Limits:
    """What an operator may bound: the record's size and the text's length."""

    max_note_bytes: int = 1024 * 1024
    max_text_chars: int = 200_000


DEFAULT_LIMITS = Limits()

_NOTE = msgspec.json.Decoder(Note)
_JUDGEMENT = msgspec.json.Decoder(Judgement)
_TAG = msgspec.json.Decoder(TagChange)
_SEGMENT = msgspec.json.Decoder(SegmentChange)
_GRAPH_NOTE = msgspec.json.Decoder(GraphNote)
_EDGE = msgspec.json.Decoder(GraphEdge)
_TAGGED = msgspec.json.Decoder(NoteTagged)
_SHADOW = msgspec.json.Decoder(NoteShadow)
_ENCODER = msgspec.json.Encoder()


def encode(event: Event) -> bytes:
    """Encode an event; the same event always gives the same bytes."""
    return _ENCODER.encode(event)


def decode_note(
    value: bytes | None,
    key: bytes | None,
    headers: Sequence[tuple[str, bytes | None]] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> Note | NoteDeleted:
    """Read a record of ``notes.new``.

    Raises:
        DecodeError: not JSON, not UTF-8, wrong types, nothing to read, a limit exceeded.
        KeyMismatchError: the key names another note.
        HeaderError: a header is broken.
    """
    check_headers(headers)
    if value is None:
        return NoteDeleted(_key_text(key, "a tombstone"))
    if len(value) > limits.max_note_bytes:
        raise DecodeError(
            f"the record has {len(value)} bytes; at most {limits.max_note_bytes} are accepted "
            "(STREAMPROC_MAX_NOTE_BYTES)"
        )
    note = _decode(_NOTE, value)
    _check_key(key, note.note_id, "note_id")
    if len(note.text) > limits.max_text_chars:
        raise DecodeError(
            f"text has {len(note.text)} characters; at most {limits.max_text_chars} are accepted "
            "(STREAMPROC_MAX_TEXT_CHARS)"
        )
    parts = (note.title, note.text, *(part for image in note.images for part in (image.caption, image.ocr)))
    if not any(part.strip() for part in parts):
        raise DecodeError("title, text and images say nothing; a note needs at least a title or a text")
    if any("\x00" in part for part in (*parts, note.category, note.language, note.author_id)):
        raise DecodeError("a text field contains a NUL character (\\u0000); remove it")
    return note


def decode_judgement(value: bytes | None, key: bytes | None) -> Judgement:
    """Read a record of ``notes.labels``.

    Raises:
        DecodeError: null, not JSON, wrong types.
        KeyMismatchError: the key names another note.
    """
    judgement = _decode(_JUDGEMENT, _not_null(value, "a judgement"))
    _check_key(key, judgement.note_id, "note_id")
    return judgement


def decode_tag(value: bytes | None, key: bytes | None) -> TagChange:
    """Read a record of ``tags.changes``.

    Raises:
        DecodeError: null (a tag is deprecated, not deleted), not JSON, wrong types.
        KeyMismatchError: the key names another tag.
    """
    change = _decode(_TAG, _not_null(value, 'a tag (publish it with status "deprecated" instead)'))
    _check_key(key, change.tag_id, "tag_id")
    return change


def decode_segment(value: bytes | None, key: bytes | None) -> SegmentChange | str:
    """Read a record of ``knowledge.changes``; a tombstone gives the id of the segment to remove.

    Raises:
        DecodeError: not JSON, wrong types.
        KeyMismatchError: the key names another segment.
    """
    if value is None:
        return _key_text(key, "a removal")
    change = _decode(_SEGMENT, value)
    _check_key(key, change.segment_id, "segment_id")
    return change


def decode_graph_note(value: bytes) -> GraphNote:
    """Read a value of ``graph.notes``.

    Raises:
        DecodeError: it is not what this package writes there.
    """
    return _decode(_GRAPH_NOTE, value)


def decode_edge(value: bytes) -> GraphEdge:
    """Read a value of ``graph.edges``.

    Raises:
        DecodeError: it is not what this package writes there.
    """
    return _decode(_EDGE, value)


def decode_tagged(value: bytes) -> NoteTagged:
    """Read a value of ``notes.tagged``.

    Raises:
        DecodeError: it is not what this package writes there.
    """
    return _decode(_TAGGED, value)


def decode_shadow(value: bytes) -> NoteShadow:
    """Read a value of ``notes.shadow``.

    Raises:
        DecodeError: it is not what this package writes there.
    """
    return _decode(_SHADOW, value)


def graph_note_key(note_id: str, origin: Origin) -> bytes:
    """Key of a note on ``graph.notes`` and of its row in the graph."""
    return orjson.dumps([note_id, origin.value])


def edge_key(edge: GraphEdge) -> bytes:
    """Key of an edge on ``graph.edges``."""
    return orjson.dumps([edge.source, edge.relation.value, edge.target, edge.provenance.value])


def content_hash(note: Note) -> str:
    """SHA-256 (hex, 32 characters) of what a note says; equal for equal content under any id."""
    said = msgspec.structs.replace(note, note_id="-", created_at=None, author_id="")
    return hashlib.sha256(_ENCODER.encode(said)).hexdigest()[:32]


def normalise_name(name: str) -> str:
    """A name as an identifier: Unicode NFC, no white space around it. Never a slug: slugs collide."""
    return unicodedata.normalize("NFC", name).strip()


def _decode(decoder: "msgspec.json.Decoder[E]", value: bytes) -> E:
    try:
        return decoder.decode(value)
    except msgspec.ValidationError as error:
        raise DecodeError(f"the value does not fit its schema: {explained(error, _plain(value))}") from None
    except msgspec.DecodeError as error:
        raise DecodeError(f"the value is not JSON: {error}") from None
    except UnicodeDecodeError as error:
        raise DecodeError(f"the value is not UTF-8: {error}") from None
    except RecursionError:
        raise DecodeError("the value is nested too deeply to be read") from None


def _plain(value: bytes) -> Any:
    """The value as plain JSON types; UNSET where it breaks off behind what did not fit."""
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.UNSET


def _not_null(value: bytes | None, what: str) -> bytes:
    if value is None:
        raise DecodeError(f"the value is null, which does not remove {what}")
    return value


def _key_text(key: bytes | None, what: str) -> str:
    if not key:
        raise DecodeError(f"{what} has no key, so it names nothing")
    try:
        text = key.decode()
    except UnicodeDecodeError:
        raise DecodeError(f"the key {key!r} is not UTF-8") from None
    if len(text) > 256 or any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise DecodeError(
            f"the key {text[:80]!r} is not an identifier: 1-256 characters, no control characters"
        )
    return text


def _check_key(key: bytes | None, expected: str, field: str) -> None:
    if key is not None and key != expected.encode():
        raise KeyMismatchError(
            f"the key {key[:200]!r} disagrees with {field} {expected!r}; they must be equal"
        )
