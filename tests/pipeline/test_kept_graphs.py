import asyncio
import os
import shutil
import time

import pytest
from milvus_lite import MilvusLite

from streamproc.errors import InputFileError
from streamproc.events.codec import encode
from streamproc.events.files import tag_from_row
from streamproc.events.note import Note
from streamproc.pipeline.kept_graphs import MOST_KEPT, SPARED_SECONDS, is_whole, note_use, prune, put_in_place
from streamproc.pipeline.local import LocalFiles, kept_directory, open_local_graph
from tests.evaluation.worlds import WordEncoder


def built(directory, says):
    directory.mkdir()
    (directory / "graph.db").write_text(says)
    return directory


def whole(directory, says=""):
    put_in_place(built(directory.with_name(f"{directory.name}.building"), says), directory)
    return directory


def last_used(directory, seconds_ago):
    at = time.time() - seconds_ago
    os.utime(directory, (at, at))


def names(graphs):
    return {each.name for each in graphs.iterdir()}


def used_long_ago(graphs):
    """One graph more than are kept, the first of them the least recently used."""
    found = [whole(graphs / f"graph-{number}") for number in range(MOST_KEPT + 1)]
    for number, each in enumerate(found):
        last_used(each, 100 * SPARED_SECONDS - number)
    return found


def test_of_two_runs_that_build_the_same_graph_the_first_stays_as_it_is(tmp_path):
    kept = whole(tmp_path / "kept", "first")
    with (kept / "graph.db").open() as in_use:
        put_in_place(built(tmp_path / "slower", "second"), kept)
        assert os.path.samestat(os.fstat(in_use.fileno()), (kept / "graph.db").stat())
    assert is_whole(kept)


def test_a_graph_of_which_a_part_was_taken_away_is_replaced(tmp_path):
    kept = whole(tmp_path / "kept", "first")
    (kept / "done").unlink()
    put_in_place(built(tmp_path / "again", "second"), kept)
    assert is_whole(kept)
    assert (kept / "graph.db").read_text() == "second"


def test_the_least_recently_used_graph_goes_when_there_are_too_many(tmp_path):
    found = used_long_ago(tmp_path)
    note_use(found[0])
    prune(tmp_path)
    assert names(tmp_path) == {each.name for each in found} - {"graph-1"}


def test_what_an_interrupted_run_left_goes_as_well(tmp_path):
    found = used_long_ago(tmp_path)[1:]
    left = built(tmp_path / "graph-0.abc", "half")
    last_used(left, 200 * SPARED_SECONDS)
    prune(tmp_path)
    assert names(tmp_path) == {each.name for each in found}


def test_a_graph_that_is_open_stays_however_long_ago_it_was_opened(tmp_path):
    found = used_long_ago(tmp_path)
    (found[0] / "graph.db").unlink()
    with MilvusLite(str(found[0] / "graph.db")):
        (found[0] / "done").touch()
        last_used(found[0], 100 * SPARED_SECONDS)
        prune(tmp_path)
        assert names(tmp_path) == {each.name for each in found}
    prune(tmp_path)
    assert names(tmp_path) == {each.name for each in found[1:]}


def test_graphs_of_the_last_hour_stay_however_many_they_are(tmp_path):
    found = [whole(tmp_path / f"graph-{number}") for number in range(MOST_KEPT + 3)]
    prune(tmp_path)
    assert names(tmp_path) == {each.name for each in found}


@pytest.fixture
def chosen(tmp_path):
    history = tmp_path / "history.jsonl"
    history.write_bytes(encode(Note("n", text="green tea", tags=("tea",))) + b"\n")
    return LocalFiles(None, history, None)


async def opened(chosen, cache, workspace, encoder=None):
    workspace.mkdir()
    graph = await open_local_graph(chosen, encoder or WordEncoder(), cache, workspace, lambda *_: None)
    await graph.store.close()


class Patient(WordEncoder):
    """Encodes nothing before it is told to."""

    def __init__(self):
        super().__init__()
        self.told = asyncio.Event()

    async def encode(self, texts):
        await self.told.wait()
        return await super().encode(texts)


async def test_of_two_first_runs_at_once_the_slower_leaves_alone_what_the_faster_has_open(chosen, tmp_path):
    cache, encoder = tmp_path / "cache", Patient()
    slower = asyncio.create_task(opened(chosen, cache, tmp_path / "slower", encoder))
    await asyncio.sleep(0)  # it has seen that there is no graph
    faster = await open_local_graph(chosen, WordEncoder(), cache, None, lambda *_: None)
    in_use = faster.path.stat()
    encoder.told.set()
    with pytest.raises(InputFileError, match="wait until it has ended"):
        await slower
    assert os.path.samestat(in_use, faster.path.stat())
    await faster.store.close()
    assert names(cache / "graphs") == {faster.path.parent.name}


async def test_a_graph_is_used_by_being_opened_and_building_one_makes_room_for_it(chosen, tmp_path):
    cache = tmp_path / "cache"
    kept = kept_directory(chosen, WordEncoder.weights_hash, cache)
    await opened(chosen, cache, tmp_path / "first")
    last_used(kept, 100 * SPARED_SECONDS)
    await opened(chosen, cache, tmp_path / "second")
    used_long_ago(kept.parent)
    chosen.history.write_bytes(encode(Note("n", text="black tea", tags=("tea",))) + b"\n")
    await opened(chosen, cache, tmp_path / "third")
    newest = kept_directory(chosen, WordEncoder.weights_hash, cache)
    assert names(kept.parent) == {kept.name, newest.name, *(f"graph-{number}" for number in range(3, 9))}


async def test_a_graph_that_has_learnt_stays_and_one_that_was_only_read_does_not(chosen, tmp_path):
    cache = tmp_path / "cache"
    kept = kept_directory(chosen, WordEncoder.weights_hash, cache)
    for workspace, stays in ((tmp_path / "copy", False), (None, True)):
        if workspace is not None:
            workspace.mkdir()
        graph = await open_local_graph(chosen, WordEncoder(), cache, workspace, lambda *_: None)
        await graph.writer.apply_tags([tag_from_row({"tag": "coffee"})], {})
        await graph.store.close()
        for other in used_long_ago(kept.parent):
            note_use(other)
        last_used(kept, 100 * SPARED_SECONDS)
        prune(kept.parent)
        assert kept.exists() == stays
        shutil.rmtree(kept.parent)
