"""``streamproc dead``."""

import asyncio
import json

import pytest

from streamproc.cli.dead import app
from streamproc.config import Settings
from streamproc.errors import DecodeError, RepeatedFailureError, SettingsError
from streamproc.events.position import Source, SourcePosition
from streamproc.events.record import InputRecord
from streamproc.streams.dead_letter import Cause, dead_letter
from streamproc.streams.publisher import Publisher

VALUE = b'{"note_id": "n\xff'
LIMIT = 1_000_000


def died(prefix: str, key: bytes, cause: Cause, value: bytes | None = VALUE, partition: int = 3):
    source = Source(SourcePosition(f"{prefix}notes.new", partition, 7), 1_700_000_000_000)
    record = InputRecord(source, key, value, (("ce_specversion", b"1.0"),))
    return dead_letter(f"{prefix}notes.dead", record, cause, LIMIT)


@pytest.fixture
def letters(broker):
    """Three dead letters on partition 0: two that can be replayed and one too large to be kept whole."""

    async def publish() -> None:
        async with Publisher(Settings(), [f"{broker}notes.dead"]) as publisher:
            for record in (
                died(broker, b"n1", Cause(DecodeError("not UTF-8"), "decode", 2)),
                died(
                    broker,
                    b"n2",
                    Cause(RepeatedFailureError("failed alone"), "tag", 2),
                    b'{"note_id": "n2"}',
                    partition=5,
                ),
                died(broker, b"n3", Cause(DecodeError("too large"), "decode", 2), b"x" * 2_000_000),
            ):
                await publisher.send(record, 0)
                await publisher.flush()

    asyncio.run(publish())


def listed(result) -> list[dict]:
    assert result.exit_code == 0, result.exception
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_an_empty_topic_says_so(runner, broker):
    result = runner.invoke(app, ["list"])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no dead letters\n")


def test_the_list_is_json_lines_when_not_on_a_terminal(runner, broker, letters):
    rows = listed(runner.invoke(app, ["list"]))
    assert [row["position"] for row in rows] == ["0/0", "0/1", "0/2"]
    assert rows[0] == {
        "position": "0/0",
        "died_at": rows[0]["died_at"],
        "class": "DecodeError",
        "stage": "decode",
        "attempts": 2,
        "message": "not UTF-8",
        "key": "n1",
        "source": f"{broker}notes.new/3/7",
        "bytes": len(VALUE),
        "truncated": False,
    }
    assert rows[2]["truncated"] is True


@pytest.mark.parametrize(
    ("arguments", "positions"),
    [
        (["--class", "DecodeError"], ["0/0", "0/2"]),
        (["--stage", "tag"], ["0/1"]),
        (["--class", "DecodeError", "--stage", "tag"], []),
        (["--since", "1h"], ["0/0", "0/1", "0/2"]),
        (["--since", "2999-01-01"], []),
        (["--limit", "1"], ["0/2"]),
    ],
)
def test_the_list_can_be_filtered(runner, letters, arguments, positions):
    assert [row["position"] for row in listed(runner.invoke(app, ["list", *arguments]))] == positions


def test_a_moment_that_is_none_is_refused(runner, broker):
    error = runner.invoke(app, ["list", "--since", "yesterday"]).exception
    assert isinstance(error, SettingsError)
    assert "'yesterday' is no moment" in str(error)


def test_show_tells_why_and_dumps_bytes_that_are_no_text(runner, letters):
    shown = runner.invoke(app, ["show", "0/0"]).stdout
    assert "class      DecodeError" in shown
    assert "message    not UTF-8" in shown
    assert "stage      decode, after 2 attempts" in shown
    assert "header     ce_specversion: 1.0" in shown
    assert "00000000  7b 22 6e 6f 74 65" in shown


def test_show_prints_text_as_it_is(runner, broker, letters):
    assert runner.invoke(app, ["show", f"{broker}notes.dead/0/1"]).stdout.endswith('\n{"note_id": "n2"}\n')


def test_show_raw_gives_the_original_bytes(runner, letters):
    assert runner.invoke(app, ["show", "0/0", "--raw"]).stdout_bytes == VALUE


@pytest.mark.parametrize("position", ["0/99", "77/0"])
def test_a_position_without_a_letter_is_named(runner, broker, letters, position):
    error = runner.invoke(app, ["show", position]).exception
    assert isinstance(error, SettingsError)
    assert f"no dead letter at {broker}notes.dead/{position}" in str(error)


@pytest.mark.parametrize("position", ["", "x", "0", "notes.new/0/1", "0/-1"])
def test_a_position_that_is_none_is_refused(runner, broker, position):
    error = runner.invoke(app, ["show", "--", position]).exception
    assert isinstance(error, SettingsError)
    assert "partition/offset" in str(error)


def test_replay_sends_the_original_back_to_its_partition(runner, broker, letters, records):
    result = runner.invoke(app, ["replay", "0/0", "0/1"])
    assert (result.exit_code, result.stderr) == (0, "dead letters sent back: 2\n")
    sent = {record.key: record for record in records("notes.new")}
    assert sent[b"n1"].value == VALUE
    assert sent[b"n1"].headers == (
        ("ce_specversion", b"1.0"),
        ("replayed-from", f"{broker}notes.dead/0/0".encode()),
    )
    assert [sent[key].source.position.partition for key in (b"n1", b"n2")] == [3, 5]


def test_replay_of_all_refuses_what_is_not_whole(runner, letters, records):
    result = runner.invoke(app, ["replay", "--all", "--yes"])
    assert result.exit_code == 1
    assert "notes.dead/0/2 is not sent: only its first 262144 bytes were kept" in result.stderr
    assert "dead letters sent back: 2" in result.stderr
    assert {record.key for record in records("notes.new")} == {b"n1", b"n2"}


def test_replay_takes_the_filters_of_the_list(runner, letters, records):
    assert runner.invoke(app, ["replay", "--class", "RepeatedFailureError"]).exit_code == 0
    assert [record.key for record in records("notes.new")] == [b"n2"]


@pytest.mark.parametrize("arguments", [[], ["0/0", "--all"], ["--all", "--stage", "tag"]])
def test_replay_wants_to_be_told_which(runner, broker, arguments):
    error = runner.invoke(app, ["replay", *arguments]).exception
    assert isinstance(error, SettingsError)
    assert "Say which dead letters" in str(error)


def test_replay_asks_on_a_terminal(runner, letters, records, monkeypatch):
    monkeypatch.setattr("streamproc.cli.dead.on_terminal", lambda: True)
    result = runner.invoke(app, ["replay", "0/0"], input="n\n")
    assert result.exit_code == 1
    assert "send 1 of them back to" in result.stderr
    assert records("notes.new") == []
