"""Dead letters as people and programs read them: a table, a JSON line, a page."""

from datetime import UTC, datetime

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streamproc.streams.dead_letters import Found

__all__ = ["as_json", "as_table", "as_text"]

ROW_BYTES = 16
PREVIEW_BYTES = 64 * 1024
"""More of a value than this is not for reading on a terminal; --raw gives all of it."""


def as_json(found: Found) -> str:
    """One line for programs; keys that are not text are given with replacement characters."""
    letter = found.letter
    return orjson.dumps(
        {
            "position": _short(found),
            "died_at": _time(found.timestamp_ms),
            "class": letter.exception,
            "stage": letter.stage,
            "attempts": letter.attempts,
            "message": letter.message,
            "key": _text(letter.key),
            "source": str(letter.source.position),
            "bytes": len(letter.value or b""),
            "truncated": letter.truncated,
        }
    ).decode()


def as_table(letters: list[Found]) -> None:
    """Print a table to standard output."""
    table = Table("position", "died at", "class", "stage", "key", "source", "message", box=None)
    for found in letters:
        letter = found.letter
        cells = (
            _short(found),
            _time(found.timestamp_ms),
            letter.exception,
            letter.stage,
            _text(letter.key) or "",
            str(letter.source.position),
            letter.message,
        )
        table.add_row(*(escape(cell) for cell in cells))
    Console().print(table)


def as_text(found: Found) -> str:
    """A page about one letter."""
    letter = found.letter
    size = len(letter.value or b"")
    lines = [
        f"position   {found.position}",
        f"died at    {_time(found.timestamp_ms)}",
        f"class      {letter.exception}",
        f"message    {letter.message}",
        f"stage      {letter.stage}, after {letter.attempts} attempt{'s' if letter.attempts != 1 else ''}",
        f"source     {letter.source.position}, {letter.source.time}",
        f"key        {_text(letter.key) if letter.key is not None else '(none)'}",
        f"sha256     {letter.sha256}",
    ]
    lines += [f"header     {name}: {_text(value)}" for name, value in letter.headers]
    if letter.value is None:
        lines.append("value      (null: a tombstone)")
    else:
        lines += [f"value      {size} bytes{', the rest was not kept' if letter.truncated else ''}", ""]
        lines.append(_readable(letter.value[:PREVIEW_BYTES]))
        if size > PREVIEW_BYTES:
            lines.append(f"… {size - PREVIEW_BYTES} bytes more; --raw writes all of them")
    return "\n".join(lines)


def _short(found: Found) -> str:
    return f"{found.position.partition}/{found.position.offset}"


def _time(timestamp_ms: int) -> str:
    return (
        datetime.fromtimestamp(timestamp_ms / 1000, tz=UTC)
        .isoformat(timespec="seconds")
        .replace("+00:00", "Z")
    )


def _text(value: bytes | None) -> str | None:
    if value is None:
        return None
    text = value.decode("utf-8", "replace")
    # Control characters would act on the terminal instead of being shown.
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def _readable(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return _hex(value)
    return text if all(char.isprintable() or char in "\n\r\t" for char in text) else _hex(value)


def _hex(value: bytes) -> str:
    rows = []
    for start in range(0, len(value), ROW_BYTES):
        row = value[start : start + ROW_BYTES]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        rows.append(f"{start:08x}  {row.hex(' '):<{ROW_BYTES * 3}} {shown}")
    return "\n".join(rows)
