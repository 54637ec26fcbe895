"""The array search against Milvus Lite's own, on the same rows."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from milvus_lite import CollectionSchema, DataType, FieldSchema, MilvusLite
from milvus_lite.adapter.grpc.translators import result
from milvus_lite.engine import collection as engine
from milvus_lite.engine.projection import build_projection_plan

from streamproc.graph.lite import array_search, columnar_answer, speed_up

DIMENSION = 8
SCHEMA = CollectionSchema(
    fields=[
        FieldSchema(name="key", dtype=DataType.VARCHAR, is_primary=True, max_length=64),
        FieldSchema(name="vector", dtype=DataType.FLOAT_VECTOR, dim=DIMENSION),
        FieldSchema(name="edges", dtype=DataType.VARCHAR, max_length=64),
    ]
)
KEYS = st.integers(0, 30)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.lists(st.tuples(KEYS, st.integers(0, 6)), min_size=1, max_size=12)),
        st.tuples(st.just("delete"), st.lists(KEYS, min_size=1, max_size=4)),
        st.tuples(st.just("flush"), st.none()),
        st.tuples(st.just("search"), st.integers(1, 40)),
    ),
    max_size=14,
)


@pytest.fixture
def original():
    speed_up()
    search = engine.execute_search_with_index
    return next(cell.cell_contents for cell in search.__closure__ if callable(cell.cell_contents))


def vector(number: int) -> list[float]:
    return np.random.default_rng(number).standard_normal(DIMENSION).astype(np.float32).tolist()


def as_compared(results):
    """Hits with equal distances may stand in any order, and at the cut any of them may be the last."""
    return [
        [
            (round(hit["distance"], 4), hit["id"], hit["entity"])
            for hit in sorted(hits, key=lambda hit: (round(hit["distance"], 4), hit["id"]))
            if hit["distance"] < hits[-1]["distance"] - 1e-4
        ]
        + [len(hits), round(hits[-1]["distance"], 4) if hits else None]
        for hits in results
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_the_array_search_finds_what_milvus_lite_finds_after_any_writes_deletes_and_flushes(
    original, tmp_path_factory, steps
):
    queries = np.array([vector(1000 + number) for number in range(5)], dtype=np.float32)
    with MilvusLite(str(tmp_path_factory.mktemp("lite"))) as db:
        rows = db.create_collection("rows", SCHEMA)
        for step, argument in [*steps, ("search", 3), ("search", 100)]:
            match step:
                case "write":
                    rows.upsert(
                        [
                            {"key": f"k{key}", "vector": vector(number), "edges": f"{key}/{number}"}
                            for key, number in argument
                        ]
                    )
                case "delete":
                    rows.delete([f"k{key}" for key in argument])
                case "flush":
                    rows.flush()
                case _:
                    asked = {
                        "query_vectors": list(queries),
                        "top_k": argument,
                        "metric_type": "IP",
                        "output_fields": ["edges"],
                    }
                    ours = rows.search(**asked)
                    replaced, engine.execute_search_with_index = engine.execute_search_with_index, original
                    try:
                        theirs = rows.search(**asked)
                    finally:
                        engine.execute_search_with_index = replaced
                    assert as_compared(ours) == as_compared(theirs)


def test_a_search_of_another_kind_is_left_as_it_is():
    seen = []

    def recorded(**request):
        seen.append(request)
        return [["theirs"]]

    request = {
        "query_vectors": np.zeros((1, DIMENSION), dtype=np.float32), "segments": (), "memtable": None, "delta_index": None,
        "top_k": 3, "metric_type": "IP", "pk_field": "key", "vector_field": "vector", "output_fields": ["edges"],
    }  # fmt: skip
    search = array_search(recorded)
    others = [
        {"metric_type": "L2"},
        {"output_fields": ["vector"]},
        {"output_fields": None},
        {"partition_names": ["p"]},
    ]
    for other in others:
        assert search(**{**request, **other}) == [["theirs"]]
    assert [request["metric_type"] for request in seen] == ["L2", "IP", "IP", "IP"]


def test_a_release_it_was_not_held_against_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr("streamproc.graph.lite.version", lambda _: "4.0.0")
    assert not speed_up()


def test_it_is_in_place_for_the_release_that_is_installed():
    assert speed_up()
    assert speed_up(), "a second time changes nothing"


@given(
    st.lists(
        st.lists(st.tuples(st.text(max_size=5), st.floats(-1, 1, width=32), st.text(max_size=9)), max_size=6),
        max_size=5,
    ),
    st.sampled_from([["edges"], ["key"], ["key", "edges"]]),
)
def test_the_columnar_answer_is_the_answer_of_milvus_lite(hits, columns):
    original = result.build_search_result_data
    results = [
        [{"id": key, "distance": score, "entity": {"edges": edges}} for key, score, edges in found]
        for found in hits
    ]
    request = {
        "results": results,
        "schema": SCHEMA,
        "top_k": 10,
        "pk_name": "key",
        "output_fields": columns,
        "projection_plan": build_projection_plan(columns, SCHEMA, api_kind="search"),
    }
    assert columnar_answer(original)(**request) == original(**request)


def test_a_grouped_answer_is_left_as_it_is():
    plan = build_projection_plan(["edges"], SCHEMA, api_kind="search")
    answer = columnar_answer(lambda **_: "theirs")
    assert answer([], SCHEMA, 3, "key", projection_plan=plan, group_by_field="edges") == "theirs"
    assert answer([], SCHEMA, 3, "key", projection_plan=None) == "theirs"
