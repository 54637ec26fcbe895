"""Dead letters for people and for programs."""

import json

from streamproc.cli.letters import as_json, as_table, as_text
from streamproc.errors import DecodeError
from streamproc.events.position import Source, SourcePosition
from streamproc.events.record import InputRecord
from streamproc.streams.dead_letter import Cause, dead_letter, read_dead_letter
from streamproc.streams.dead_letters import Found


def found(key: bytes | None, value: bytes | None, message: str = "bad") -> Found:
    record = InputRecord(Source(SourcePosition("notes.new", 1, 2), 1_700_000_000_000), key, value)
    out = dead_letter("notes.dead", record, Cause(DecodeError(message), "decode"), 10_000_000)
    position = SourcePosition("notes.dead", 0, 5)
    return Found(position, 1_700_000_001_000, read_dead_letter(out.key, out.value, out.headers))


def test_a_table_has_a_row_a_letter_and_takes_markup_literally(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    as_table([found(b"n1", b"x", "[red]not JSON[/red]"), found(None, None)])
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].split()[:3] == ["position", "died", "at"]
    assert "0/5" in rows[1]
    assert "[red]not JSON[/red]" in rows[1]
    assert len(rows) == 3


def test_control_characters_never_reach_the_terminal():
    page = as_text(found(b"\x1b[2Jn1", b"\x1b[2J"))
    assert "\x1b" not in page
    assert "key        \\x1b[2Jn1" in page
    assert "00000000  1b 5b 32 4a" in page


def test_a_null_value_is_called_a_tombstone():
    page = as_text(found(b"n1", None))
    assert page.endswith("value      (null: a tombstone)")
    assert "after 1 attempt\n" in page


def test_a_long_value_is_shown_in_part():
    assert as_text(found(b"n1", b"x" * 100_000)).endswith("… 34464 bytes more; --raw writes all of them")


def test_json_survives_a_key_that_is_no_text():
    assert json.loads(as_json(found(b"\xff", b"")))["key"] == "�"
    assert json.loads(as_json(found(None, b"")))["key"] is None
