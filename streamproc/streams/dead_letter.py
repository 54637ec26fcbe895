"""Dead letters: what is written to ``notes.dead`` and how it is read again.

The record keeps its key and its bytes; where it came from and what was wrong with it stand in headers. A dead letter always fits: what is too large keeps its beginning and its SHA-256.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.errors import HeaderError
from streamproc.events.dead_headers import (
    ATTEMPTS,
    EXCEPTION,
    MESSAGE,
    NULL_VALUE,
    OFFSET,
    PARTITION,
    SHA256,
    STAGE,
    TIMESTAMP,
    TOPIC,
    TRUNCATED,
)
from streamproc.events.headers import output_headers
from streamproc.events.position import Source, SourcePosition
from streamproc.events.record import InputRecord, OutputRecord

__all__ = ["KEPT_BYTES", "Cause", "DeadLetter", "dead_letter", "read_dead_letter"]

KEPT_BYTES = 256 * 1024
MAX_MESSAGE_CHARS = 4096
MAX_KEY_BYTES = 16 * 1024


@dataclass(frozen=True)
class Cause:
    """Why a record is dead: the error, the stage that met it, and how often that was tried."""

    error: BaseException
    stage: str
    attempts: int = 1


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter as it is read from ``notes.dead``."""

    source: Source
    exception: str
    message: str
    stage: str
    attempts: int
    truncated: bool
    """Whether the value lacks its end; ``sha256`` is that of the whole."""
    sha256: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    """The headers of the original record."""


def dead_letter(topic: str, record: InputRecord, cause: Cause, max_bytes: int) -> OutputRecord:
    """Make the dead letter of a record.

    Args:
        topic: full name of the dead-letter topic.
        record: the record as it was read; its own headers are kept before ours.
        cause: what was wrong.
        max_bytes: the largest record that the topic takes.
    """
    # Ours begin with EXCEPTION: a reader finds there where the original headers end.
    ours = (*_headers(record, cause), *output_headers("notes.dead", record.source))
    # A tombstone's header value may be null on the wire; outputs carry bytes, and an empty value says as little.
    theirs = tuple((name, value or b"") for name, value in record.headers)
    if record.key is None and record.value is None:
        # The client sends no record that has neither.
        return OutputRecord(topic, None, b"", (*theirs, *ours, (NULL_VALUE, b"true")))
    whole = OutputRecord(topic, record.key, record.value, (*theirs, *ours))
    if whole.size <= max_bytes:
        return whole
    value = record.value or b""
    kept = value[: min(KEPT_BYTES, max_bytes // 2)]
    key = record.key if record.key is None else record.key[:MAX_KEY_BYTES]
    marks = ((SHA256, hashlib.sha256(value).hexdigest().encode()), (TRUNCATED, b"true"))
    cut = OutputRecord(topic, key, kept, (*theirs, *ours, *marks))
    # Headers themselves may be what is too large: then the original ones go.
    return cut if cut.size <= max_bytes else OutputRecord(topic, key, kept, (*ours, *marks))


def read_dead_letter(
    key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]
) -> DeadLetter:
    """Read a record of ``notes.dead``.

    Raises:
        HeaderError: it does not carry the headers of a dead letter.
    """
    last = {name: (content or b"").decode("utf-8", "replace") for name, content in headers}
    try:
        position = SourcePosition(last[TOPIC], int(last[PARTITION]), int(last[OFFSET]))
        source = Source(position, int(last[TIMESTAMP]))
        attempts = int(last[ATTEMPTS])
        exception, message, stage = last[EXCEPTION], last[MESSAGE], last[STAGE]
    except (KeyError, ValueError) as error:
        raise HeaderError(
            f"the record is no dead letter of this application: header {error} is missing or broken"
        ) from None
    truncated = TRUNCATED in last and SHA256 in last
    sha256 = last[SHA256] if truncated else hashlib.sha256(value or b"").hexdigest()
    # The last one: a dead letter that was replayed and died again may carry the headers of its first death.
    if NULL_VALUE in last:
        value = None
    first_of_ours = max(at for at, (name, _) in enumerate(headers) if name == EXCEPTION)
    return DeadLetter(
        source,
        exception,
        message,
        stage,
        attempts,
        truncated,
        sha256,
        key,
        value,
        tuple(headers[:first_of_ours]),
    )


def _headers(record: InputRecord, cause: Cause) -> tuple[tuple[str, bytes], ...]:
    position = record.source.position
    fields = (
        (EXCEPTION, type(cause.error).__name__),
        (MESSAGE, str(cause.error)[:MAX_MESSAGE_CHARS]),
        (STAGE, cause.stage),
        (ATTEMPTS, cause.attempts),
        (TOPIC, position.topic),
        (PARTITION, position.partition),
        (OFFSET, position.offset),
        (TIMESTAMP, record.source.timestamp_ms),
    )
    return tuple((name, str(value).encode("utf-8", "backslashreplace")) for name, value in fields)
