"""streamproc demo: the real application on the embedded broker, the shipped models and Milvus Lite."""

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


def test_a_missing_file_of_notes_is_a_sentence(tmp_path):
    error = run("--notes", tmp_path / "none.jsonl").exception
    assert isinstance(error, InputFileError)


def test_a_summary_that_cannot_be_written_is_refused_before_anything_starts(tmp_path):
    error = run("--summary", tmp_path / "no" / "summary.json").exception
    assert isinstance(error, InputFileError)
