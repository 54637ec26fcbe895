"""A worker's parts, opened as the settings say."""

import pytest

from streamproc.config import load_settings
from streamproc.errors import DependencyDownError
from streamproc.events.note import Note
from streamproc.events.position import Source, SourcePosition
from streamproc.pipeline.outcome import SourcedNote
from streamproc.streams.opening import open_parts

NOTE = SourcedNote(Note(note_id="a", title="A loaf of rye"), Source(SourcePosition("notes.new", 0, 0), 0))


async def test_with_the_models_in_the_process_the_graph_is_what_is_probed(tmp_path):
    parts = await open_parts(load_settings(milvus_uri=str(tmp_path / "graph.db")))
    try:
        assert [dependency.name for dependency in parts.dependencies] == ["Milvus"]
        for dependency in parts.dependencies:
            await dependency.check()
        assert (await parts.pipeline.tag([NOTE]))[0].tagged.note_id == "a"
    finally:
        await parts.close()


async def test_with_the_models_on_triton_it_tags_and_is_probed(tmp_path, triton_url):
    settings = load_settings(milvus_uri=str(tmp_path / "graph.db"), inference="triton", triton_url=triton_url)
    parts = await open_parts(settings)
    try:
        assert [dependency.name for dependency in parts.dependencies] == ["Milvus", "Triton"]
        for dependency in parts.dependencies:
            await dependency.check()
        assert (await parts.pipeline.tag([NOTE]))[0].tagged.note_id == "a"
    finally:
        await parts.close()


async def test_a_triton_that_is_not_there_is_down(tmp_path):
    settings = load_settings(
        milvus_uri=str(tmp_path / "graph.db"),
        inference="triton",
        triton_url="127.0.0.1:1",
        triton_timeout_seconds=1,
    )
    parts = await open_parts(settings)
    try:
        with pytest.raises(DependencyDownError, match="Triton"):
            await parts.dependencies[1].check()
        with pytest.raises(DependencyDownError, match="Triton"):
            await parts.pipeline.tag([NOTE])
    finally:
        await parts.close()
