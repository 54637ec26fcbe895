import numpy as np

from streamproc.graph.memory import MemoryGraph
from tests.graph.recalling import edge


def unit(rows):
    array = np.array(rows, dtype=np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def graph():
    return MemoryGraph(
        tag_ids=["x", "y"],
        tag_vectors=unit([[1, 0], [0, 1]]),
        note_ids=["b", "a", "c"],
        note_vectors=unit([[1, 0], [1, 0], [0, 1]]),
        edges=[(edge("x"),), (edge("y"),), ()],
        segment_ids=["s"],
        segment_vectors=unit([[1, 1]]),
    )


def test_vertices_come_nearest_first_and_ties_in_order_of_id():
    (found,) = graph().nearest(unit([[1, 0.1]]), tags=2, notes=3, segments=1)
    assert [hit.tag_id for hit in found.tags] == ["x", "y"]
    assert [hit.note_id for hit in found.notes] == ["a", "b", "c"]
    assert found.notes[0].edges == (edge("y"),)
    assert [hit.segment_id for hit in found.segments] == ["s"]


def test_no_more_are_found_than_asked_for():
    (found,) = graph().nearest(unit([[0, 1]]), tags=1, notes=1, segments=0)
    assert [hit.tag_id for hit in found.tags] == ["y"]
    assert [hit.note_id for hit in found.notes] == ["c"]
    assert found.segments == ()


async def test_notes_can_be_added_and_relabelled():
    grown = graph()
    grown.append(["d"], unit([[0.1, 1]]), [(edge("x"),)])
    grown.relabel(2, (edge("y"),))
    (found,) = await grown.search(unit([[0, 1]]), tags=0, notes=2, segments=0)
    assert [(hit.note_id, hit.edges) for hit in found.notes] == [("c", (edge("y"),)), ("d", (edge("x"),))]
    assert found.tags == ()


def test_an_empty_graph_finds_nothing():
    none = np.zeros((0, 2), dtype=np.float32)
    empty = MemoryGraph(tag_ids=[], tag_vectors=none, note_ids=[], note_vectors=none, edges=[])
    (found,) = empty.nearest(unit([[0, 1]]), tags=3, notes=3, segments=3)
    assert (found.tags, found.notes, found.segments) == ((), (), ())


def test_similarities_that_differ_in_the_last_bits_are_ties():
    vectors = np.array([[0.5], [0.5 + 2e-7], [0.5 - 2e-7], [0.50002]], dtype=np.float32)
    near = MemoryGraph(
        tag_ids=[],
        tag_vectors=np.zeros((0, 1), dtype=np.float32),
        note_ids=["c", "b", "a", "d"],
        note_vectors=vectors,
        edges=[()] * 4,
    )
    (found,) = near.nearest(np.ones((1, 1), dtype=np.float32), tags=0, notes=3)
    assert [(hit.note_id, hit.similarity) for hit in found.notes] == [("d", 0.50002), ("a", 0.5), ("b", 0.5)]
