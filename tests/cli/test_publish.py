"""``streamproc publish``."""

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streamproc.cli.publish import app
from streamproc.cli.topics import app as topics
from streamproc.errors import InputFileError, SettingsError


def note(number: int, **fields):
    return {"id": f"n{number}", "title": f"Note {number}", "text": "Something to read.", **fields}


def test_notes_arrive_keyed_by_id_in_the_shape_of_the_event(runner, broker, jsonl, records):
    result = runner.invoke(app, ["notes", str(jsonl(note(1, date="2024-05-01", tags=["tea"]), b"", note(2)))])
    assert result.exit_code == 0, result.exception
    assert (result.stdout, result.stderr) == ("", f"published 2 records to {broker}notes.new\n")
    by_key = {record.key: json.loads(record.value) for record in records("notes.new")}
    assert by_key[b"n1"] == {
        "note_id": "n1",
        "title": "Note 1",
        "text": "Something to read.",
        "tags": ["tea"],
        "created_at": "2024-05-01T00:00:00Z",
    }
    assert set(by_key) == {b"n1", b"n2"}


def test_a_broken_line_stops_everything_before_it_starts(runner, broker, jsonl, records):
    file = jsonl(note(1), b'{"id": "n2", "title": ')
    error = runner.invoke(app, ["notes", str(file)]).exception
    assert isinstance(error, InputFileError)
    assert "rows.jsonl, line 2: not JSON" in str(error)
    assert records("notes.new") == []


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"title": "no id"}, "needs its id"),
        ({"id": "a", "title": " "}, "say nothing"),
        (b'{"id": "a", "text": NaN}', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[1]", "a JSON object is expected"),
        (b"[" * 100_000, "not JSON"),
        ({"id": "a", "text": "x" * 200_001}, "STREAMPROC_MAX_TEXT_CHARS"),
        ({"id": "a", "text": "x" * 2_000_000}, "STREAMPROC_MAX_NOTE_BYTES"),
        ({"id": "a", "text": "nul \x00"}, "NUL character"),
    ],
)
def test_a_line_that_breaks_a_rule_of_the_topic_is_refused(runner, broker, jsonl, row, sentence):
    error = runner.invoke(app, ["notes", str(jsonl(row))]).exception
    assert isinstance(error, InputFileError)
    assert sentence in str(error)


def test_a_missing_file_is_named(runner, tmp_path):
    error = runner.invoke(app, ["notes", str(tmp_path / "none.jsonl")]).exception
    assert isinstance(error, InputFileError)
    assert "none.jsonl cannot be read: No such file" in str(error)


def test_a_pipe_is_refused_because_it_cannot_be_read_twice(runner, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    error = runner.invoke(app, ["notes", str(pipe)]).exception
    assert isinstance(error, InputFileError)
    assert "not a regular file" in str(error)


def test_a_missing_topic_says_what_creates_it(runner, broker, jsonl, monkeypatch):
    monkeypatch.setenv("STREAMPROC_TOPIC_PREFIX", "other.")
    error = runner.invoke(app, ["notes", str(jsonl(note(1)))]).exception
    assert isinstance(error, SettingsError)
    assert "has no topic other.notes.new" in str(error)
    assert "streamproc topics create" in str(error)


def test_a_rate_spreads_the_notes_over_time(runner, broker, jsonl, records):
    start = time.monotonic()
    assert runner.invoke(app, ["notes", str(jsonl(*map(note, range(11)))), "--rate", "10"]).exit_code == 0
    assert time.monotonic() - start >= 1.0
    stamps = sorted(record.source.timestamp_ms for record in records("notes.new"))
    assert 900 <= stamps[-1] - stamps[0] <= 3000


def test_by_date_sends_in_order_of_dates_and_keeps_the_pauses(runner, broker, jsonl, records):
    rows = [
        note(1, created_at="2024-01-01T00:02:00Z"),
        note(2, created_at="2024-01-01T01:00:00+01:00"),
        note(3, created_at="2024-01-01T00:01:00"),
    ]
    result = runner.invoke(app, ["notes", str(jsonl(*rows)), "--by-date", "--speed", "120"])
    assert result.exit_code == 0, result.exception
    arrived = sorted((record.source.timestamp_ms, record.key) for record in records("notes.new"))
    assert [key for _, key in arrived] == [b"n2", b"n3", b"n1"]
    assert all(400 <= later[0] - earlier[0] <= 1500 for earlier, later in itertools.pairwise(arrived))


def test_by_date_names_the_note_without_a_date(runner, broker, jsonl, records):
    file = jsonl(note(1, created_at="2024-01-01T00:00:00Z"), note(2))
    error = runner.invoke(app, ["notes", str(file), "--by-date"]).exception
    assert isinstance(error, InputFileError)
    assert "line 2: the note has no created_at" in str(error)
    assert records("notes.new") == []


def test_speed_without_dates_is_refused(runner, broker, jsonl):
    error = runner.invoke(app, ["notes", str(jsonl(note(1))), "--speed", "2"]).exception
    assert isinstance(error, SettingsError)
    assert "--by-date" in str(error)


def test_labels_tags_and_knowledge_go_to_their_topics(runner, broker, jsonl, records):
    files = {
        "labels": ("notes.labels", {"id": "n1", "tag": "tea", "correct": True}, b"n1"),
        "tags": ("tags.changes", {"tag": " Café ", "description": "A place."}, "Café".encode()),
        "knowledge": ("knowledge.changes", {"id": "s1", "kind": "rule", "text": "Be brief."}, b"s1"),
    }
    for command, (topic, row, key) in files.items():
        result = runner.invoke(app, [command, str(jsonl(row))])
        assert result.exit_code == 0, result.exception
        (record,) = records(topic)
        assert record.key == key
    (tag,) = records("tags.changes")
    assert json.loads(tag.value)["changed_at"] > "2020"


def test_apache_kafka_takes_thousands_of_notes(runner, apache_kafka, jsonl, records):
    assert runner.invoke(topics, ["create"]).exit_code == 0
    result = runner.invoke(app, ["notes", str(jsonl(*map(note, range(5000))))])
    assert result.stderr == f"published 5,000 records to {apache_kafka}notes.new\n"
    assert {record.key for record in records("notes.new")} == {b"n%d" % i for i in range(5000)}


def test_the_command_ends_in_one_sentence_and_status_2(broker, jsonl):
    file = jsonl(note(1), {"id": 7, "title": "x"})
    done = subprocess.run(
        [Path(sys.executable).with_name("streamproc"), "publish", "notes", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "rows.jsonl, line 2" in done.stderr
