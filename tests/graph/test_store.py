"""The store on Milvus Lite, on its server, and on a real Milvus where one can be had."""

import asyncio
import multiprocessing
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from pymilvus import MilvusClient

from streamproc.errors import DeadlineError, DependencyDownError, GraphMismatchError, SettingsError
from streamproc.events.graph import Origin, Provenance
from streamproc.graph.collections import CollectionNames, Layout, create_missing
from streamproc.graph.hits import Edge, Graph
from streamproc.graph.milvus import GraphAddress
from streamproc.graph.rows import NoteRow, VertexRow, stored_note, unit
from streamproc.graph.store import FLUSH_ROWS, Counts, MilvusGraph
from tests.graph.material import DIMENSION, ENCODER_HASH, graph_note, row, tagged, vector_of, words
from tests.servers.milvus import MilvusLiteServer

AWKWARD_IDS = (
    "plain",
    "q'uote",
    'double"quote',
    "back\\slash",
    "{brace}",
    "100%",
    "ünï 漢字 😀",
    "a/b:c",
    " " * 3,
    "x" * 256,
)


@pytest_asyncio.fixture(params=["lite", "lite server", pytest.param("standalone", marks=pytest.mark.slow)])
async def any_graph(
    request: pytest.FixtureRequest, lite_address: GraphAddress, unique_prefix: str
) -> AsyncIterator[MilvusGraph]:
    """The same graph over each kind of Milvus: what holds for one holds for all."""
    address = lite_address if request.param == "lite" else address_on_server(request, unique_prefix)
    graph = await MilvusGraph.open(address, ENCODER_HASH, DIMENSION)
    yield graph
    await graph.close()


@pytest.fixture(params=["lite server", pytest.param("standalone", marks=pytest.mark.slow)])
def server_address(request: pytest.FixtureRequest, unique_prefix: str) -> GraphAddress:
    """A Milvus that several workers share, nothing in it."""
    return address_on_server(request, unique_prefix)


def address_on_server(request: pytest.FixtureRequest, prefix: str) -> GraphAddress:
    if request.param == "lite server":
        uri = request.getfixturevalue("milvus_server").uri
    else:
        uri = request.getfixturevalue("milvus_standalone")
    return GraphAddress(uri, timeout_seconds=30.0, topic_prefix=prefix)


async def search_until_seen(graph: Graph, vector: np.ndarray, note_id: str, **limits: int):
    """A server answers from a state that is seconds old at most; a ``.db`` from the newest."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        (hits,) = await graph.search(vector[None], **{"tags": 0, "notes": 10, "segments": 0, **limits})
        asked_and_empty = (limits.get("tags") and not hits.tags) or (
            limits.get("segments") and not hits.segments
        )
        if any(hit.note_id == note_id for hit in hits.notes) and not asked_and_empty:
            return hits
        await asyncio.sleep(0.05)
    raise AssertionError(f"{note_id} was never found")


async def test_what_is_written_is_found_nearest_first_with_its_edges(any_graph):
    query = vector_of("query")
    others = [vector_of(name) for name in ("x", "y")]
    await any_graph.write_tags(
        [VertexRow("far", -query), VertexRow("near", query), VertexRow("between", others[0])]
    )
    await any_graph.write_segments([VertexRow("passage", query)])
    await any_graph.write_notes(
        [
            row("far", vector=-query),
            row("near", tagged("a", 0.5, Provenance.HUMAN), tagged("b"), vector=query),
        ]
    )
    hits = await search_until_seen(any_graph, query, "near", tags=2, notes=2, segments=1)
    assert [hit.tag_id for hit in hits.tags] == ["near", "between"]
    assert hits.tags[0].similarity == 1.0
    assert [hit.note_id for hit in hits.notes] == ["near", "far"]
    assert hits.notes[0].edges == (Edge("a", 0.5, Provenance.HUMAN), Edge("b", 1.0, Provenance.IMPORT))
    assert [hit.segment_id for hit in hits.segments] == ["passage"]


async def test_ids_of_any_characters_can_be_written_read_found_and_removed(any_graph):
    query = vector_of("query")
    await any_graph.write_notes([row(note_id, vector=query) for note_id in AWKWARD_IDS])
    await any_graph.write_tags([VertexRow(tag_id, query) for tag_id in AWKWARD_IDS])
    keys = [row(note_id).note.key for note_id in AWKWARD_IDS]
    assert {note.note_id for note in (await any_graph.notes(keys)).values()} == set(AWKWARD_IDS)
    hits = await search_until_seen(any_graph, query, "plain", tags=20, notes=20)
    assert [hit.note_id for hit in hits.notes] == sorted(AWKWARD_IDS), "equally near: in order of id"
    assert [hit.tag_id for hit in hits.tags] == sorted(AWKWARD_IDS)
    await any_graph.delete_notes(keys)
    await any_graph.delete_tags(AWKWARD_IDS)
    assert await any_graph.notes(keys) == {}


async def test_a_row_replaces_what_stood_under_its_key(any_graph):
    await any_graph.write_notes([row("n", tagged("old"), tagged("kept"))])
    await any_graph.write_notes([row("n", tagged("kept"))])
    (note,) = (await any_graph.notes(["stream:n"])).values()
    assert [tag.tag_id for tag in note.tags] == ["kept"]
    assert (await any_graph.counts()).notes == 1


async def test_a_note_of_two_origins_is_one_hit_with_the_edges_of_both(any_graph):
    query = vector_of("query")
    rows = [
        row("n", tagged("both", 1.0, Provenance.MODEL), tagged("s", 1.0, Provenance.MODEL), vector=query),
        row("n", tagged("both", 0.5), origin=Origin.IMPORT, vector=query),
        row("other", vector=vector_of("other")),
    ]
    await any_graph.write_notes(rows)
    hits = await search_until_seen(any_graph, vector_of("other"), "n")
    hits = await search_until_seen(any_graph, query, "other")
    (twice,) = [hit for hit in hits.notes if hit.note_id == "n"]
    assert set(twice.edges) == {Edge("both", 0.5, Provenance.IMPORT), Edge("s", 1.0, Provenance.MODEL)}


async def test_offsets_are_kept_by_topic_and_partition(any_graph):
    assert await any_graph.offsets() == {}
    await any_graph.write_offsets(
        {("p.graph.notes", 0): 5, ("p.graph.notes", 11): 0, ("p.tags.changes", 0): 2}
    )
    await any_graph.write_offsets({("p.graph.notes", 0): 9})
    assert await any_graph.offsets() == {
        ("p.graph.notes", 0): 9,
        ("p.graph.notes", 11): 0,
        ("p.tags.changes", 0): 2,
    }


async def test_clearing_leaves_an_empty_graph_that_works(any_graph):
    await any_graph.write_notes([row("n")])
    await any_graph.write_offsets({("graph.notes", 0): 5})
    await any_graph.clear()
    assert await any_graph.counts() == Counts(0, 0, 0)
    assert await any_graph.offsets() == {}
    await any_graph.write_notes([row("m")])
    assert (await any_graph.counts()).notes == 1


async def test_every_row_can_be_read_back_in_order_of_key_with_its_words(any_graph, monkeypatch):
    monkeypatch.setattr("streamproc.graph.store.PAGE_ROWS", 128)
    rows = [row(f"n{number:03}", tagged("a"), text=f"note {number}") for number in range(300)]
    await any_graph.write_notes(rows)
    read = [found for page in [page async for page in any_graph.all_notes()] for found in page]
    assert [found.note for found in read] == [written.note for written in rows]
    assert np.allclose([found.vector for found in read], [written.vector for written in rows], atol=1e-6)


async def test_the_words_of_a_labelled_note_count_at_once_and_until_it_is_replaced_or_deleted(any_graph):
    def written(note_id: str, tag_id: str, text: str) -> NoteRow:
        return NoteRow(stored_note(graph_note(note_id, tagged(tag_id), text=text)), vector_of(note_id))

    async def told(text: str, *tags: str) -> list[float]:
        (hits,) = await any_graph.search(vector_of("any")[None], tags=0, notes=1, segments=0)
        any_graph._history._told._rested = 0.0  # the models are made anew for the next search
        return (
            [] if hits.wording is None else hits.wording.wording(words(text)).columns([tags])[:, 0].tolist()
        )

    assert await told("oolong", "tea") == []
    await any_graph.write_notes([written("n", "tea", "oolong"), written("m", "tax", "a receipt")])
    assert (await told("oolong", "tea"))[0] > 0 > (await told("oolong", "tax"))[0]
    await any_graph.write_notes([written("n", "tax", "a return"), written("k", "tea", "matcha")])
    assert (await told("matcha", "tea"))[0] > 0
    assert (await told("return", "tax"))[0] > 0
    assert await told("oolong", "tea") == [0], "no note has the word any more"
    await any_graph.delete_notes(["stream:k"])
    assert await told("matcha", "tea") == [0]
    assert (await told("return", "tax")) != [0]
    await any_graph.delete_notes(["stream:n", "stream:m"])
    assert await told("return", "tax") == []


async def test_an_empty_graph_finds_nothing_and_nothing_asked_is_nothing_searched(graph):
    vectors = np.stack([vector_of("a"), vector_of("b")])
    assert [
        len(hits.notes) + len(hits.tags) for hits in await graph.search(vectors, tags=5, notes=5, segments=5)
    ] == [0, 0]
    assert await graph.search(vectors[:0], tags=5, notes=5, segments=0) == []


async def test_a_written_row_is_found_by_the_very_next_search_across_flushes(graph):
    for start in range(0, 2 * FLUSH_ROWS + 300, 300):
        names = [f"n{number}" for number in range(start, start + 300)]
        await graph.write_notes([row(name) for name in names])
        found = await graph.search(np.stack([vector_of(name) for name in names]), tags=0, notes=1, segments=0)
        assert [hits.notes[0].note_id for hits in found] == names


async def test_a_vector_finds_the_same_alone_and_in_any_batch(graph):
    rng = np.random.default_rng(7)
    vectors = unit(rng.standard_normal((700, DIMENSION)).astype(np.float32))
    vectors[300:600] = vectors[:300]  # ties in plenty
    await graph.write_notes([row(f"n{number}", vector=vector) for number, vector in enumerate(vectors)])
    await graph.write_tags([VertexRow(f"t{number}", vector) for number, vector in enumerate(vectors)])
    limits = {"tags": 7, "notes": 9, "segments": 0}
    together = await graph.search(vectors[:50], **limits)
    backwards = await graph.search(vectors[:50][::-1], **limits)
    alone = [(await graph.search(vectors[number : number + 1], **limits))[0] for number in range(50)]
    assert together == alone == backwards[::-1]


async def test_the_graph_survives_its_process(tmp_path):
    address = GraphAddress(str(tmp_path / "graph.db"))
    worker = multiprocessing.get_context("spawn").Process(target=_write_and_die, args=(address.uri,))
    worker.start()
    worker.join(60)
    assert worker.exitcode == -9
    graph = await MilvusGraph.open(address, ENCODER_HASH, DIMENSION)
    assert (await graph.counts()).notes == 10
    assert await graph.offsets() == {("graph.notes", 0): 9}
    await graph.close()


def _write_and_die(uri: str) -> None:
    import asyncio
    import os
    import signal

    async def write() -> None:
        graph = await MilvusGraph.open(GraphAddress(uri), ENCODER_HASH, DIMENSION)
        await graph.write_notes([row(f"n{number}") for number in range(10)])
        await graph.write_offsets({("graph.notes", 0): 9})
        os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(write())


async def test_a_db_that_another_process_has_open_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "shared.db"
    remedy = r"STREAMPROC_MILVUS_URI.*open in another process.*milvus-lite server"
    with MilvusLiteServer(path), pytest.raises(SettingsError, match=remedy):
        await MilvusGraph.open(GraphAddress(str(path)), ENCODER_HASH, DIMENSION)
    graph = await MilvusGraph.open(GraphAddress(str(path)), ENCODER_HASH, DIMENSION)
    await graph.close()


@pytest.mark.parametrize(
    ("uri", "complaint"),
    [
        ("graph.sqlite", "neither a path ending in .db"),
        ("nowhere/at/all/graph.db", "does not exist"),
        ("a-file.db", "is a file"),
        ("ftp://[x", "is not an address of Milvus"),
    ],
)
async def test_an_address_that_cannot_be_used_is_one_sentence(tmp_path, uri, complaint):
    (tmp_path / "a-file.db").write_text("something else")
    address = GraphAddress(uri if "://" in uri else str(tmp_path / uri), timeout_seconds=2.0)
    with pytest.raises(SettingsError, match=complaint) as caught:
        await MilvusGraph.open(address, ENCODER_HASH, DIMENSION)
    assert "STREAMPROC_MILVUS_URI" in str(caught.value)


async def test_a_graph_of_another_encoder_is_never_searched(lite_address):
    first = await MilvusGraph.open(lite_address, "a" * 64, DIMENSION)
    await first.write_notes([row("n")])
    await first.close()
    with pytest.raises(GraphMismatchError, match="streamproc graph rebuild"):
        await MilvusGraph.open(lite_address, "b" * 64, DIMENSION)
    rebuilt = await MilvusGraph.open(lite_address, "b" * 64, DIMENSION, replace=True)
    assert (await rebuilt.counts()).notes == 0
    await rebuilt.close()


async def test_vectors_of_another_length_are_noticed_at_the_start(lite_address):
    await (await MilvusGraph.open(lite_address, ENCODER_HASH, DIMENSION)).close()
    with pytest.raises(GraphMismatchError, match="columns"):
        await MilvusGraph.open(lite_address, ENCODER_HASH, DIMENSION * 2)


async def test_graphs_of_two_prefixes_do_not_meet(milvus_server, unique_prefix):
    def address(prefix: str) -> GraphAddress:
        return GraphAddress(milvus_server.uri, timeout_seconds=30.0, topic_prefix=unique_prefix + prefix)

    # Neither escaping nor concatenation may let one prefix reach into another's collections.
    graphs = [
        await MilvusGraph.open(address(prefix), ENCODER_HASH, DIMENSION)
        for prefix in ("", "a", "a.", "a_2e", "a-")
    ]
    await graphs[1].write_notes([row("n")])
    assert [(await graph.counts()).notes for graph in graphs] == [0, 1, 0, 0, 0]
    for graph in graphs:
        await graph.close()


async def test_workers_that_start_at_the_same_moment_open_one_graph(server_address):
    opening = (MilvusGraph.open(server_address, ENCODER_HASH, DIMENSION) for _ in range(6))
    first, *others = await asyncio.gather(*opening)
    await first.write_notes([row("n", tagged("a"))])
    for other in others:
        assert list(await other.notes(["stream:n"])) == ["stream:n"]
    for each in (first, *others):
        await each.close()


async def test_a_graph_that_a_worker_left_half_created_is_completed(server_address):
    layout = Layout(CollectionNames(server_address.topic_prefix, ENCODER_HASH), DIMENSION, "AUTOINDEX")
    client = MilvusClient(uri=server_address.uri)
    create_missing(client, layout, server_address.timeout_seconds, replace=False)
    client.drop_collection(layout.names.tags)
    client.release_collection(layout.names.notes)
    client.drop_index(layout.names.notes, "vector")
    client.close()
    graph = await MilvusGraph.open(server_address, ENCODER_HASH, DIMENSION)
    vector = vector_of("tea")
    await graph.write_tags([VertexRow("tea", vector)])
    await graph.write_notes([row("n", tagged("tea"), vector=vector)])
    hits = await search_until_seen(graph, vector, "n", tags=1)
    assert [hit.tag_id for hit in hits.tags] == ["tea"]
    await graph.close()


async def test_a_server_that_goes_away_is_a_dependency_down_and_comes_back_with_its_rows(tmp_path):
    server = MilvusLiteServer(tmp_path / "server.db")
    server.start()
    graph = await MilvusGraph.open(GraphAddress(server.uri, timeout_seconds=2.0), ENCODER_HASH, DIMENSION)
    try:
        await graph.write_notes([row("n")])
        server.kill()
        with pytest.raises(DependencyDownError, match="Milvus cannot be reached"):
            await graph.write_notes([row("m")])
        with pytest.raises(DependencyDownError, match="Milvus"):
            await graph.ping()
        server.start()
        await graph.ping()
        (hits,) = await graph.search(vector_of("n")[None], tags=0, notes=1, segments=0)
        assert hits.notes[0].note_id == "n"
    finally:
        await graph.close()
        server.stop()


async def test_a_server_that_does_not_answer_in_time_is_a_deadline_missed(milvus_server, unique_prefix):
    address = GraphAddress(milvus_server.uri, timeout_seconds=2.0, topic_prefix=unique_prefix)
    graph = await MilvusGraph.open(address, ENCODER_HASH, DIMENSION)
    await graph.write_notes([row("n")])
    with milvus_server.frozen(), pytest.raises(DeadlineError, match="did not answer within 2 s"):
        await graph.search(vector_of("n")[None], tags=0, notes=1, segments=0)
    (hits,) = await graph.search(vector_of("n")[None], tags=0, notes=1, segments=0)
    assert hits.notes[0].note_id == "n"
    await graph.close()


async def test_no_server_at_all_is_a_dependency_down():
    with pytest.raises(DependencyDownError, match="Milvus cannot be reached"):
        await MilvusGraph.open(
            GraphAddress("http://127.0.0.1:9", timeout_seconds=1.0), ENCODER_HASH, DIMENSION
        )


def test_the_store_is_the_graph_that_recall_asks_for(tmp_path: Path):
    def needs(graph: Graph) -> Graph:
        return graph

    assert needs(MilvusGraph.__new__(MilvusGraph))
