"""A line of a file as the record that the command line sends for it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from streamproc.config import Settings
from streamproc.events.codec import Limits, encode, graph_note_key
from streamproc.events.files import (
    Line,
    judgement_from_row,
    note_from_line,
    parse_object,
    segment_from_row,
    tag_from_row,
)
from streamproc.events.graph import Origin
from streamproc.events.history import file_position, imported_note
from streamproc.events.note import Note
from streamproc.events.record import OutputRecord

__all__ = [
    "RecordOf",
    "history_record",
    "judgement_record",
    "note_of",
    "note_record",
    "segment_record",
    "tag_record",
]

RecordOf = Callable[[Line], OutputRecord]
"""Raises DecodeError for a line that cannot be used."""

HEADERS = (("content-type", b"application/json"),)


def note_of(settings: Settings) -> Callable[[Line], Note]:
    """Lines as notes, under the limits in force."""
    limits = Limits(settings.max_note_bytes, settings.max_text_chars)
    return lambda line: note_from_line(line.value, limits)


def note_record(topic: str, settings: Settings) -> RecordOf:
    """Notes to be tagged."""
    read = note_of(settings)

    def record(line: Line) -> OutputRecord:
        note = read(line)
        return OutputRecord(topic, note.note_id.encode(), encode(note), HEADERS)

    return record


def judgement_record(topic: str) -> RecordOf:
    """People's judgements."""

    def record(line: Line) -> OutputRecord:
        judgement = judgement_from_row(parse_object(line.value))
        return OutputRecord(topic, judgement.note_id.encode(), encode(judgement), HEADERS)

    return record


def tag_record(topic: str, now: datetime) -> RecordOf:
    """Tags; those that do not say when they changed changed ``now``."""

    def record(line: Line) -> OutputRecord:
        row: dict[str, Any] = {"changed_at": now, **parse_object(line.value)}
        change = tag_from_row(row)
        return OutputRecord(topic, change.tag_id.encode(), encode(change), HEADERS)

    return record


def segment_record(topic: str) -> RecordOf:
    """Passages of knowledge."""

    def record(line: Line) -> OutputRecord:
        segment = segment_from_row(parse_object(line.value))
        return OutputRecord(topic, segment.segment_id.encode(), encode(segment), HEADERS)

    return record


def history_record(topic: str, settings: Settings, file_name: str, encoder: str) -> RecordOf:
    """Labelled notes, for the graph."""
    read = note_of(settings)

    def record(line: Line) -> OutputRecord:
        note = imported_note(read(line), file_position(file_name, line.number), encoder)
        return OutputRecord(topic, graph_note_key(note.note.note_id, Origin.IMPORT), encode(note), HEADERS)

    return record
