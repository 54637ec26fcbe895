"""streamproc demo: the real application on the embedded broker, the shipped models and Milvus Lite."""

import contextlib
import os
import pty
import signal
import sys

import orjson
import pytest
from typer.testing import CliRunner

from streamproc.cli import app
from streamproc.errors import InputFileError
from streamproc.streams.embedded import KEPT_BYTES


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("STREAMPROC_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cli-cache"))


def run(*arguments):
    return CliRunner().invoke(app, ["demo", "--once", *map(str, arguments)])


def test_every_sample_note_and_broken_event_comes_out(tmp_path):
    result = run("--summary", tmp_path / "summary.json")
    assert result.exit_code == 0, result.output
    summary = orjson.loads((tmp_path / "summary.json").read_bytes())
    assert summary["notes_in"] == summary["tagged"] + summary["deleted"] + summary["dead"]
    assert summary["tagged"] >= 60
    assert summary["deleted"] == 1
    assert summary["dead"] == 8
    assert summary["tags_per_note"] > 0.5
    assert 0 < summary["p50_ms"] <= summary["p99_ms"]
    assert summary["notes_per_second"] > 0
    assert "dead letter" in result.stdout


def test_a_stream_far_larger_than_the_broker_keeps_loses_nothing(tmp_path):
    """One key, so one partition, which keeps less than the notes alone weigh."""
    text = "The kettle sings and the cat sleeps. " * 4000
    rows = [orjson.dumps({"id": "same", "title": f"Part {number}", "text": text}) for number in range(60)]
    assert sum(map(len, rows)) > KEPT_BYTES
    (tmp_path / "notes.jsonl").write_bytes(b"\n".join(rows) + b"\n{broken\n")
    result = run("--notes", tmp_path / "notes.jsonl", "--summary", tmp_path / "summary.json")
    assert result.exit_code == 0, result.output
    summary = orjson.loads((tmp_path / "summary.json").read_bytes())
    assert (summary["notes_in"], summary["tagged"], summary["dead"]) == (61, 60, 1)


def test_a_missing_file_of_notes_is_a_sentence_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMPROC_BUNDLE", str(tmp_path / "no bundle"))  # found missing once it starts
    error = run("--notes", tmp_path / "none.jsonl").exception
    assert isinstance(error, InputFileError)


def on_a_terminal(arguments, *typed):
    """Run the demo on a terminal and type each of these when what stands before it has been seen; give output, status."""
    process, terminal = pty.fork()
    if process == 0:
        # Tests that run in the background may ignore Ctrl-C, and a program inherits that.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execv(sys.executable, [sys.executable, "-m", "streamproc", "demo", *map(str, arguments)])
    said, waiting = b"", list(typed)
    with open(terminal, "r+b", buffering=0) as screen, contextlib.suppress(OSError):  # noqa: PTH123 - a descriptor
        while chunk := screen.read(65_536):  # Linux says EIO where the program has ended
            said += chunk
            if waiting and waiting[0][0] in said:
                screen.write(waiting.pop(0)[1])
    return said.decode(), os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@pytest.fixture
def own_notes(tmp_path):
    (tmp_path / "notes.jsonl").write_text('{"id": "first", "text": "Rye bread from the oven"}\n')
    (tmp_path / "tags.jsonl").write_text('{"tag": "Baking", "description": "Bread and cakes."}\n')
    return ("--notes", tmp_path / "notes.jsonl", "--tags", tmp_path / "tags.jsonl")


def test_notes_are_typed_on_a_terminal_until_an_empty_line(own_notes):
    said, status = on_a_terminal(
        own_notes, (b"ends the demo", b"Bread rolls\n"), (b"typed-1", b"Cakes\n"), (b"typed-2", b"\n")
    )
    assert status == 0, said
    assert "3 + 0 + 0" in said


def test_ctrl_c_at_the_prompt_ends_the_demo_with_its_summary(own_notes):
    said, status = on_a_terminal(own_notes, (b"ends the demo", b"half a no\x03"))
    assert status == 0, said
    assert "1 + 0 + 0" in said
    assert "Traceback" not in said


def test_a_summary_that_cannot_be_written_is_refused_before_anything_starts(tmp_path):
    error = run("--summary", tmp_path / "no" / "summary.json").exception
    assert isinstance(error, InputFileError)
