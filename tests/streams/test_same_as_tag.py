"""The streaming path and ``streamproc tag`` are the same pipeline: same tags, same confidences."""

import asyncio

import orjson
import pytest
from typer.testing import CliRunner

from streamproc.cli import app
from streamproc.config import load_settings
from streamproc.events.codec import encode
from streamproc.events.files import note_from_row, read_events
from streamproc.events.tagged import NoteTagged
from streamproc.inference.backend import load_bundle, open_models
from streamproc.pipeline.local import LocalFiles, open_local_graph, sample_file
from streamproc.pipeline.local_confidences import with_local_confidences
from streamproc.pipeline.tagging import Pipeline
from streamproc.streams.demonstration import NewRecord, demonstration
from streamproc.streams.parts import Parts

TOLERANCE = 1e-4


async def streamed(settings, cache, workspace):
    """The last outcome of each sample note, by the real app on the embedded broker."""
    outcomes = {}

    async def open_parts(settings):
        chosen, silent = LocalFiles.chosen(None, None), lambda *_: None
        bundle, _ = await with_local_confidences(settings, load_bundle(settings), chosen, open_models, silent)
        models = open_models(settings, bundle)
        graph = await open_local_graph(chosen, models.encoder, cache, workspace, silent)

        async def close():
            await graph.store.close()
            await models.close()

        pipeline = Pipeline.of(settings, bundle, models, graph.store, graph.knowledge)
        return Parts(pipeline, graph.writer, graph.knowledge, (), close)

    def keep(seen):
        if isinstance(seen.event, NoteTagged):
            outcomes[seen.key] = seen.event

    notes = list(read_events(sample_file("notes.jsonl"), note_from_row))
    async with demonstration(settings, open_parts, keep) as running:
        await running.publish(NewRecord(note.note_id.encode(), encode(note)) for note in notes)
    return outcomes


@pytest.fixture
def tagged_from_file(monkeypatch, tmp_path):
    monkeypatch.setenv("STREAMPROC_CACHE_DIR", str(tmp_path / "cache"))
    result = CliRunner().invoke(app, ["tag", str(sample_file("notes.jsonl"))])
    assert result.exit_code == 0, result.output
    # An edit of a note comes later in the file: the last one counts, as on the topic.
    return {row["note_id"]: row for row in map(orjson.loads, result.stdout.splitlines())}


def test_with_the_write_back_off_both_give_the_same(tagged_from_file, tmp_path):
    (tmp_path / "work").mkdir()
    settings = load_settings(topic_prefix="", web_port=0, write_back="off")
    outcomes = asyncio.run(streamed(settings, tmp_path / "cache", tmp_path / "work"))
    assert outcomes.keys() == tagged_from_file.keys()
    emitted = 0
    for note_id, event in outcomes.items():
        expected = {tag["tag_id"]: tag["confidence"] for tag in tagged_from_file[note_id]["tags"]}
        assert {tag.tag_id: tag.confidence for tag in event.tags} == pytest.approx(expected, abs=TOLERANCE)
        assert event.outcome.value == tagged_from_file[note_id]["outcome"]
        emitted += len(expected)
    assert emitted > 20
