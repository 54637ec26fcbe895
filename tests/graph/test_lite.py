"""Milvus Lite's engine as this process uses it, against the engine's own search, write and errors."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from milvus_lite import CollectionSchema, DataType, FieldSchema, MilvusLite
from pymilvus.exceptions import MilvusException

from streamproc.events.graph import Provenance
from streamproc.graph.access import Rows, WireAccess
from streamproc.graph.answers import SIMILARITY_DIGITS
from streamproc.graph.lite import LiteAccess
from streamproc.graph.rows import unit
from streamproc.graph.store import MilvusGraph
from tests.graph.material import DIMENSION as GRAPH_DIMENSION
from tests.graph.material import ENCODER_HASH, row, tagged, vector_of

DIMENSION = 8
SCHEMA = CollectionSchema(
    fields=[
        FieldSchema(name="key", dtype=DataType.VARCHAR, is_primary=True, max_length=64),
        FieldSchema(name="vector", dtype=DataType.FLOAT_VECTOR, dim=DIMENSION),
        FieldSchema(name="edges", dtype=DataType.VARCHAR, max_length=64),
    ]
)
ROWS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6)), min_size=1, max_size=12)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), ROWS),
        st.tuples(st.just("write as the engine does"), ROWS),
        st.tuples(st.just("delete"), st.lists(st.integers(0, 30), min_size=1, max_size=4)),
        st.tuples(st.just("flush"), st.none()),
        st.tuples(st.just("search"), st.integers(1, 40)),
    ),
    max_size=14,
)
QUERIES = unit(np.random.default_rng(7).standard_normal((5, DIMENSION)).astype(np.float32))


def vector(number: int) -> list[float]:
    drawn = np.random.default_rng(number).standard_normal((1, DIMENSION)).astype(np.float32)
    return unit(drawn)[0].tolist()


def rows_of(some: list[tuple[int, int]]) -> Rows:
    return Rows(
        [f"k{key}" for key, _ in some],
        np.array([vector(number) for _, number in some], dtype=np.float32),
        {"edges": [f"{key}/{number}" for key, number in some]},
    )


def comparable(hits: Iterable[tuple[float, str, str]]):
    """Rows that are equally near may stand in any order, and at the cut any of them may be the last."""
    ranked = sorted((-round(similarity, 4), key, edges) for similarity, key, edges in hits)
    return (
        [hit for hit in ranked if hit[0] < ranked[-1][0] - 1e-4],
        len(ranked),
        ranked[-1:] and ranked[-1][0],
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_a_search_finds_what_the_engine_s_own_finds_after_any_writes_deletes_and_flushes(
    tmp_path_factory, steps
):
    with MilvusLite(str(tmp_path_factory.mktemp("lite"))) as database:
        table = database.create_collection("rows", SCHEMA)
        access = LiteAccess(database)
        for step, argument in [*steps, ("search", 3), ("search", 100)]:
            match step:
                case "write":
                    access.write("rows", rows_of(argument))
                case "write as the engine does":
                    table.upsert(
                        [
                            {"key": f"k{key}", "vector": vector(number), "edges": f"{key}/{number}"}
                            for key, number in argument
                        ]
                    )
                case "delete":
                    access.delete("rows", [f"k{key}" for key in argument])
                case "flush":
                    table.flush()
                case _:
                    ours = access.search("rows", QUERIES, argument, "edges")
                    theirs = table.search(
                        list(QUERIES), top_k=argument, metric_type="IP", output_fields=["edges"]
                    )
                    assert [
                        comparable(zip(found.similarities, found.keys, found.values, strict=True))
                        for found in ours
                    ] == [
                        comparable(
                            (round(hit["distance"], SIMILARITY_DIGITS), hit["id"], hit["entity"]["edges"])
                            for hit in hits
                        )
                        for hits in theirs
                    ]
                    assert in_pages(access, argument) == sorted(
                        (row["key"], row["edges"], np.round(row["vector"], 6).tolist())
                        for row in table.query("", output_fields=["key", "edges", "vector"])
                    )


def in_pages(access, limit):
    """All rows, read so many at a time."""
    rows, after = [], ""
    while True:
        page = access.page("rows", ("edges",), after, limit)
        edges = page.columns["edges"]
        assert len(page.keys) == len(edges) == len(page.vectors) <= limit
        rows += zip(page.keys, edges, np.round(page.vectors.astype(float), 6).tolist(), strict=True)
        if len(page.keys) < limit:
            return rows
        after = page.keys[-1]


def test_a_column_that_is_read_in_pages_does_not_stay_in_memory(tmp_path):
    with MilvusLite(str(tmp_path / "lite")) as database:
        table = database.create_collection("rows", SCHEMA)
        access = LiteAccess(database)
        long = "x" * 64
        access.write("rows", Rows(["k"], QUERIES[:1], {"edges": [long]}))
        table.flush()
        assert access.page("rows", ("edges",), "", 5).columns["edges"] == [long]
        (files,) = access._known.values()
        assert files.columns.keys() == {"key"}


def test_rows_that_are_read_in_pages_are_sorted_once_for_each_state_of_the_files(tmp_path, monkeypatch):
    sorted_sizes, argsort = [], np.argsort
    monkeypatch.setattr(
        np, "argsort", lambda values, **how: sorted_sizes.append(len(values)) or argsort(values, **how)
    )
    with MilvusLite(str(tmp_path / "lite")) as database:
        table = database.create_collection("rows", SCHEMA)
        access = LiteAccess(database)
        for first in (20, 0):
            access.write("rows", rows_of([(key, 1) for key in range(first, first + 20)]))
            table.flush()
            assert [key for key, _, _ in in_pages(access, 4)] == sorted(f"k{key}" for key in range(first, 40))
            access.delete("rows", ["k39"])  # a deletion leaves the files as they are
            access.write("rows", rows_of([(39, 2)]))
            assert len(in_pages(access, 4)) == 40 - first
    assert sorted_sizes == [20, 41], "of the second state, the row that was written anew is sorted with it"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS, ROWS)
def test_what_is_written_is_what_the_engine_would_have_written(tmp_path_factory, flushed, in_memory):
    with MilvusLite(str(tmp_path_factory.mktemp("lite"))) as database:
        theirs = database.create_collection("theirs", SCHEMA)
        ours = database.create_collection("ours", SCHEMA)
        for some in (flushed, in_memory):
            rows = rows_of(some)
            LiteAccess(database).write("ours", rows)
            theirs.upsert(
                [
                    {"key": key, "vector": vector.tolist(), "edges": edges}
                    for key, vector, edges in zip(rows.keys, rows.vectors, rows.columns["edges"], strict=True)
                ]
            )
            if some is flushed:
                ours.flush()
                theirs.flush()
        keys = [f"k{key}" for key in range(31)]
        assert ours.get(keys) == theirs.get(keys)
        assert LiteAccess(database).read("ours", keys, ("edges",)) == [
            {"key": each["key"], "edges": each["edges"]} for each in theirs.get(keys)
        ]


def test_the_nearest_of_many_rows_are_found_whatever_their_order(tmp_path):
    # The nearest lie where no sample of every so many rows would meet them.
    count = 2_000
    angles = np.linspace(0.1, 3.0, count)
    angles[1:9] = np.linspace(0.0, 0.05, 8)
    vectors = np.zeros((count, DIMENSION), dtype=np.float32)
    vectors[:, 0], vectors[:, 1] = np.cos(angles), np.sin(angles)
    keys = np.array([f"k{number}" for number in range(count)])
    with MilvusLite(str(tmp_path / "lite")) as database:
        database.create_collection("rows", SCHEMA)
        access = LiteAccess(database)
        for order in (np.arange(count), np.random.default_rng(1).permutation(count)):
            access.write("rows", Rows(keys[order].tolist(), vectors[order], {"edges": [""] * count}))
            for limit in (1, 8, 100, 1_999, 3_000):
                query = np.eye(1, DIMENSION, dtype=np.float32)
                (found,) = access.search("rows", np.repeat(query, 3, axis=0), limit, "key")[2:]
                assert set(found.keys) == set(keys[np.argsort(angles)[:limit]].tolist())
                assert found.similarities == sorted(found.similarities, reverse=True)
        assert access.search("rows", query, 5, "edges")[0].values == [""] * 5


def test_an_error_of_the_engine_is_the_one_that_pymilvus_raises(tmp_path):
    with MilvusLite(str(tmp_path / "lite")) as database, pytest.raises(MilvusException) as raised:
        LiteAccess(database).read("absent", ["k"], ())
    assert raised.value.code == 100, "the collection was not found"


async def test_the_engine_of_the_release_that_is_installed_is_reached_in_this_process(graph):
    assert isinstance(graph._milvus._access, LiteAccess)


async def test_a_release_it_was_not_held_against_is_spoken_to_as_a_server(lite_address, monkeypatch):
    query = vector_of("query")
    monkeypatch.setattr("streamproc.graph.lite.version", lambda _: "4.0.0")
    graph = await MilvusGraph.open(lite_address, ENCODER_HASH, GRAPH_DIMENSION)
    try:
        assert isinstance(graph._milvus._access, WireAccess)
        await graph.write_notes([row("n", tagged("a", 0.5, Provenance.HUMAN), vector=query), row("gone")])
        await graph.delete_notes(["stream:gone"])
        assert list(await graph.notes(["stream:n", "stream:gone"])) == ["stream:n"]
        (hits,) = await graph.search(query[None], tags=1, notes=5, segments=0)
        assert [(hit.note_id, hit.similarity, len(hit.edges)) for hit in hits.notes] == [("n", 1.0, 1)]
    finally:
        await graph.close()
