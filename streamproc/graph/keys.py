"""Primary keys of rows: readable, one to one with ids, and safe inside a Milvus expression.

pymilvus writes keys into expressions between single quotes and escapes nothing, so a quote in a
note's id would end the literal. Percent-encoding leaves ids of plain characters as they are.
"""

from functools import lru_cache
from urllib.parse import quote, unquote

import orjson

from streamproc.errors import DecodeError
from streamproc.events.graph import Origin

__all__ = [
    "MAX_KEY_BYTES",
    "from_row_key",
    "note_row_key",
    "parse_note_key",
    "rows_of_note",
    "split_note_key",
    "to_row_key",
]

MAX_KEY_BYTES = 4096
"""Room for 256 characters of 4 bytes, each percent-encoded to 12, and an origin."""

_PLAIN = " :/@#+,;=()[]!*$&"

_ORIGINS = tuple(sorted(Origin))


@lru_cache(maxsize=65_536)
def to_row_key(identifier: str) -> str:
    """The key of a tag's or a segment's row."""
    return quote(identifier, safe=_PLAIN)


@lru_cache(maxsize=65_536)
def from_row_key(key: str) -> str:
    """The id of a tag or a segment from the key of its row."""
    return unquote(key)


def note_row_key(note_id: str, origin: Origin) -> str:
    """The key of a note's row: its origin, a colon, its id."""
    return f"{origin.value}:{quote(note_id, safe=_PLAIN)}"


@lru_cache(maxsize=65_536)
def split_note_key(key: str) -> tuple[str, Origin]:
    """The note's id and origin from the key of its row."""
    origin, _, note_id = key.partition(":")
    return unquote(note_id), Origin(origin)


def rows_of_note(key: str) -> tuple[str, ...]:
    """From the key of a note's row the keys of all rows that the note may have, in order."""
    _, _, note_id = key.partition(":")
    return tuple([f"{origin}:{note_id}" for origin in _ORIGINS])


def parse_note_key(key: bytes | None) -> tuple[str, Origin]:
    """Read the key of a record of ``graph.notes``.

    Raises:
        DecodeError: it is not a JSON array of a note's id and an origin.
    """
    try:
        note_id, origin = orjson.loads(key or b"")
        if not isinstance(note_id, str) or not note_id:
            raise ValueError(note_id)  # noqa: TRY301 - one place says what is wrong
        return note_id, Origin(origin)
    except (ValueError, TypeError):
        raise DecodeError(
            f"the key {(key or b'')[:200]!r} is not a JSON array [note_id, origin] with origin "
            f"{' or '.join(repr(origin.value) for origin in Origin)}"
        ) from None
