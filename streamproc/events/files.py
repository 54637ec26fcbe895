"""Files of notes, tags, labelled history, knowledge and judgements: JSON Lines in, events out.

Rows have the shape of the events or the shorter one that datasets use: a note has ``id``, ``title``,
``text``, ``tags``, ``date``; a tag has ``tag``, ``description``, ``synonyms``, ``type``.
"""

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec
import orjson

from streamproc.errors import DecodeError, InputFileError
from streamproc.events.codec import DEFAULT_LIMITS, Limits, decode_note, normalise_name
from streamproc.events.fields import Event
from streamproc.events.label import Judgement
from streamproc.events.mismatch import explained
from streamproc.events.note import Note, NoteDeleted
from streamproc.events.segment import SegmentChange
from streamproc.events.tag import TagChange

__all__ = [
    "Line",
    "judgement_from_row",
    "note_from_line",
    "note_from_row",
    "read_events",
    "read_lines",
    "segment_from_row",
    "tag_from_row",
]

E = TypeVar("E", bound=Event)

_JSON_NAMES = {
    list: "an array",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "a truth value",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file: its number, counted from 1, and its bytes without the line end."""

    number: int
    value: bytes


def read_lines(file: IO[bytes]) -> Iterator[Line]:
    """Read the lines of a file; blank ones are passed over, and so is the mark that some editors begin a file with."""
    for number, raw in enumerate(file, start=1):
        value = raw.rstrip(b"\r\n")
        if number == 1:
            value = value.removeprefix(codecs.BOM_UTF8)
        if value.strip():
            yield Line(number, value)


def read_events(path: Path, from_row: Callable[[dict[str, Any]], E]) -> Iterator[E]:
    """Read a whole file of events of one type.

    Raises:
        InputFileError: the file cannot be opened or a line cannot be used; names file and line.
    """
    try:
        with path.open("rb") as file:
            for line in read_lines(file):
                try:
                    yield from_row(parse_object(line.value))
                except DecodeError as error:
                    raise InputFileError(f"{path}, line {line.number}: {error}") from None
    except OSError as error:
        raise InputFileError(f"{path} cannot be read: {error.strerror or error}") from None


def parse_object(value: bytes) -> dict[str, Any]:
    """Parse one JSON object.

    Raises:
        DecodeError: the bytes are not JSON, or not an object.
    """
    try:
        row = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        # Its place counts lines of the value, which is one line of a file: two line numbers would contradict each other.
        raise DecodeError(f"not JSON: {error.msg} (at character {error.pos + 1})") from None
    if not isinstance(row, dict):
        raise DecodeError(f"a JSON object is expected, not {_JSON_NAMES[type(row)]}")
    return row


def note_from_line(value: bytes, limits: Limits = DEFAULT_LIMITS) -> Note:
    """Read a note as the command line takes it, under the same rules as a record of ``notes.new``.

    Raises:
        DecodeError: the line is not a note, or says nothing, or exceeds a limit.
    """
    shaped = _event_shape(parse_object(value))
    _require_id(shaped)
    note = decode_note(orjson.dumps(shaped), None, (), limits)
    if isinstance(note, NoteDeleted):  # pragma: no cover - a value that is not null is never a tombstone
        raise DecodeError("a note is expected")
    return note


def note_from_row(row: dict[str, Any]) -> Note:
    """Read a note of a dataset or of the event's shape.

    Raises:
        DecodeError: a field is missing or of a wrong type.
    """
    shaped = _event_shape(row)
    _require_id(shaped)
    return _convert(shaped, Note)


def tag_from_row(row: dict[str, Any]) -> TagChange:
    """Read a tag; its id is given or else its exact name in NFC.

    Raises:
        DecodeError: a field is missing or of a wrong type.
    """
    name = next((row[field] for field in ("name", "tag", "tag_id") if row.get(field) is not None), None)
    if not isinstance(name, str) or not name.strip():
        raise DecodeError('a tag needs its name in the field "tag" (or "name")')
    kind = row.get("kind", row.get("type"))
    if isinstance(kind, list) and kind:  # a tag of several vocabularies goes by the first
        kind = kind[0]
    shaped = {
        "changed_at": datetime.fromtimestamp(0, tz=UTC),
        **{field: row[field] for field in TagChange.__struct_fields__ if row.get(field) is not None},
        "name": name.strip(),
        "tag_id": row.get("tag_id") or normalise_name(name),
        "kind": kind if isinstance(kind, str) and kind else "topic",
    }
    for field in ("parents", "synonyms"):
        if isinstance(shaped.get(field), list):
            shaped[field] = [
                normalise_name(item) if isinstance(item, str) else item for item in shaped[field]
            ]
    return _convert(shaped, TagChange)


def segment_from_row(row: dict[str, Any]) -> SegmentChange:
    """Read a passage of knowledge.

    Raises:
        DecodeError: a field is missing or of a wrong type.
    """
    shaped = dict(row)
    shaped.setdefault("segment_id", row.get("id"))
    return _convert(shaped, SegmentChange)


def judgement_from_row(row: dict[str, Any]) -> Judgement:
    """Read a judgement.

    Raises:
        DecodeError: a field is missing or of a wrong type.
    """
    shaped = dict(row)
    shaped.setdefault("note_id", row.get("id"))
    shaped.setdefault("tag_id", row.get("tag"))
    return _convert(shaped, Judgement)


def _require_id(shaped: dict[str, Any]) -> None:
    identity = shaped.get("note_id")
    if not isinstance(identity, str) or not identity:
        raise DecodeError('a note needs its id, a string that is not empty, in the field "id" (or "note_id")')


def _event_shape(row: dict[str, Any]) -> dict[str, Any]:
    shaped = {field: row[field] for field in Note.__struct_fields__ if row.get(field) is not None}
    if "note_id" not in shaped and "id" in row:
        shaped["note_id"] = row["id"]
    if "created_at" not in shaped and isinstance(row.get("date"), str):
        moment = _moment(row["date"])
        if moment is not None:
            shaped["created_at"] = moment
    return shaped


def _moment(text: str) -> str | None:
    """A date of a dataset as RFC 3339; datasets write them in many ways, and some only year and month."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _convert(row: dict[str, Any], event: type[E]) -> E:
    try:
        return msgspec.convert(row, event)
    except msgspec.ValidationError as error:
        raise DecodeError(f"not a {event.__name__}: {explained(error, row)}") from None
