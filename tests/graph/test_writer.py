import numpy as np
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamproc.errors import DecodeError, KeyMismatchError, OutputTooLargeError
from streamproc.events.codec import edge_key
from streamproc.events.graph import Origin, Relation
from streamproc.events.record import InputRecord
from streamproc.events.segment import SegmentChange, SegmentKind
from streamproc.events.tag import TagChange, TagPolicy, TagStatus
from streamproc.graph.edges import edges_of
from streamproc.graph.store import MilvusGraph
from streamproc.graph.writer import GraphWriter
from tests.graph.material import (
    DIMENSION,
    ENCODER_HASH,
    WordEncoder,
    graph_note,
    near,
    record,
    source,
    tagged,
    tombstone,
    vector_of,
)


@pytest.fixture
def encoder() -> WordEncoder:
    return WordEncoder()


@pytest_asyncio.fixture
async def writer(graph: MilvusGraph, encoder: WordEncoder) -> GraphWriter:
    return GraphWriter(graph, encoder)


def tag(tag_id: str, **fields: object) -> TagChange:
    return TagChange(tag_id=tag_id, name=tag_id, changed_at="2026-01-01T00:00:00Z", **fields)


async def write(writer: GraphWriter, *records: InputRecord):
    plan = await writer.plan(records)
    await writer.apply(plan)
    return plan


async def rows(writer: GraphWriter):
    return {row.note.key: row for page in [page async for page in writer.graph.all_notes()] for row in page}


async def test_a_new_note_is_written_with_its_edges_and_offset(writer, encoder):
    note = graph_note("n", tagged("a"), similar_tags=(near("b"),), vector=vector_of("n"))
    plan = await write(writer, record(3, note))
    assert [(change.edge.relation, change.edge.target) for change in plan.edges] == [
        (Relation.TAGGED, "a"),
        (Relation.SIMILAR_TAG, "b"),
    ]
    written = (await rows(writer))["stream:n"]
    assert written.note.tags == note.tags
    assert written.note.content_hash == note.content_hash
    assert written.note.source == note.source
    assert np.linalg.norm(written.vector) == pytest.approx(1, abs=1e-6)
    assert await writer.applied_offsets() == {("graph.notes", 0): 3}
    assert encoder.texts == [], "it came with its vector"


async def test_planning_writes_nothing(writer):
    await writer.plan([record(3, graph_note("n", tagged("a")))])
    assert await rows(writer) == {}
    assert await writer.applied_offsets() == {}


async def test_the_last_record_of_a_key_is_the_truth_and_edges_skip_what_lay_between(writer):
    await write(writer, record(0, graph_note("n", tagged("old"), tagged("kept"))))
    plan = await write(
        writer,
        record(1, graph_note("n", tagged("passing"))),
        record(2, graph_note("n", tagged("kept"), tagged("new"))),
    )
    assert {(change.key, change.edge is None) for change in plan.edges} == {
        (b'["n","tagged","old","import"]', True),
        (b'["n","tagged","new","import"]', False),
    }
    assert {tag.tag_id for tag in (await rows(writer))["stream:n"].note.tags} == {"kept", "new"}


async def test_a_batch_read_twice_changes_nothing(writer):
    records = [record(0, graph_note("n", tagged("a"))), record(1, graph_note("m", tagged("b")))]
    await write(writer, *records)
    before = {key: row.note for key, row in (await rows(writer)).items()}
    assert (await write(writer, *records)).edges == ()
    assert {key: row.note for key, row in (await rows(writer)).items()} == before


async def test_a_tombstone_removes_the_row_and_every_edge_of_it(writer):
    await write(writer, record(0, graph_note("n", tagged("a"), similar_notes=(near("m"),))))
    plan = await write(writer, tombstone(1, "n"))
    assert [change.edge for change in plan.edges] == [None, None]
    assert await rows(writer) == {}


async def test_a_tombstone_of_a_note_that_is_not_there_is_harmless(writer):
    plan = await write(writer, tombstone(1, "n"), record(2, graph_note("m")), tombstone(3, "m"))
    assert plan.edges == ()
    assert await rows(writer) == {}
    assert await writer.applied_offsets() == {("graph.notes", 0): 3}


async def test_the_imported_row_of_a_note_keeps_its_edges_when_the_streamed_one_goes(writer):
    await write(
        writer,
        record(0, graph_note("n", tagged("a"), origin=Origin.IMPORT)),
        record(1, graph_note("n", tagged("a"), tagged("b"), origin=Origin.STREAM)),
    )
    plan = await write(writer, tombstone(2, "n"))
    assert [change.key for change in plan.edges] == [b'["n","tagged","b","import"]']
    assert set(await rows(writer)) == {"import:n"}


@pytest.mark.parametrize(
    "unusable",
    [
        {},
        {"vector": vector_of("stale"), "encoder": "another"},
        {"vector": vector_of("short")[:8]},
        {"vector": np.full(DIMENSION, np.nan, dtype=np.float32)},
    ],
    ids=["none", "of another encoder", "of another length", "not numbers"],
)
async def test_a_note_without_a_vector_of_this_encoder_is_embedded(writer, encoder, unusable):
    await write(writer, record(0, graph_note("n", text="to be read", **unusable)))
    assert encoder.texts == ["to be read"]
    assert np.allclose((await rows(writer))["stream:n"].vector, vector_of("to be read"), atol=1e-6)


async def test_a_record_at_fault_is_named_and_its_neighbours_are_written(writer):
    sound = record(1, graph_note("n", tagged("a")))
    fat = record(5, graph_note("fat", *(tagged("x" * 250 + str(number)) for number in range(256))))
    plan = await write(
        writer,
        InputRecord(source(0), b"not json", b"{}"),
        sound,
        InputRecord(source(2), sound.key, b"{"),
        InputRecord(source(3), b'["other","stream"]', sound.value),
        InputRecord(source(4), None, None),
        fat,
    )
    assert [type(rejected.error) for rejected in plan.rejected] == [
        DecodeError,
        DecodeError,
        KeyMismatchError,
        DecodeError,
        OutputTooLargeError,
    ]
    assert set(await rows(writer)) == {"stream:n"}
    assert await writer.applied_offsets() == {("graph.notes", 0): 5}, "rejected records count as read"


async def test_only_tags_that_recall_may_propose_are_searchable(writer):
    at = {("tags.changes", 0): 4}
    await writer.apply_tags(
        [
            tag("auto"),
            tag("review", policy=TagPolicy.REVIEW),
            tag("manual", policy=TagPolicy.MANUAL_ONLY),
            tag("deprecated", status=TagStatus.DEPRECATED),
            tag("merged", status=TagStatus.MERGED, merged_into="auto"),
        ],
        at,
    )
    (hits,) = await writer.graph.search(vector_of("auto")[None], tags=10, notes=0, segments=0)
    assert {hit.tag_id for hit in hits.tags} == {"auto", "review"}
    assert (hits.tags[0].tag_id, hits.tags[0].similarity) == ("auto", 1.0)
    assert await writer.applied_offsets() == at


async def test_a_tag_leaves_the_search_and_returns_as_its_state_says(writer):
    await writer.apply_tags([tag("t")], {("tags.changes", 0): 0})
    await writer.apply_tags([tag("t", status=TagStatus.DEPRECATED)], {("tags.changes", 0): 1})
    assert (await writer.graph.counts()).tags == 0
    await writer.apply_tags([tag("t", status=TagStatus.DEPRECATED), tag("t")], {("tags.changes", 0): 3})
    assert (await writer.graph.counts()).tags == 1


async def test_passages_are_embedded_and_removed(writer, encoder):
    passage = SegmentChange(segment_id="s", kind=SegmentKind.RULE, text="never tag sarcasm", category="rules")
    await writer.apply_segments([passage], {("knowledge.changes", 0): 0})
    assert encoder.texts == ["rules: never tag sarcasm"]
    assert (await writer.graph.counts()).segments == 1
    await writer.apply_segments([passage, "s", "unknown"], {("knowledge.changes", 0): 3})
    assert (await writer.graph.counts()).segments == 0
    assert await writer.applied_offsets() == {("knowledge.changes", 0): 3}


RECORDS = st.lists(
    st.tuples(
        st.sampled_from(["n", "m"]),
        st.sampled_from(list(Origin)),
        st.none() | st.lists(st.sampled_from(["a", "b", "c"]), unique=True, max_size=3),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RECORDS, st.integers(1, 5))
async def test_however_the_log_is_cut_into_batches_rows_and_edges_are_those_of_its_last_words(
    writer, history, batch_size
):
    await writer.graph.clear()
    records = [
        tombstone(offset, note_id, origin)
        if tags is None
        else record(offset, graph_note(note_id, *map(tagged, tags), origin=origin))
        for offset, (note_id, origin, tags) in enumerate(history)
    ]
    published = {}
    for start in range(0, len(records), batch_size):
        batch = records[start : start + batch_size]
        for _ in range(2):  # each batch twice, as after a crash before the commit
            for change in (await write(writer, *batch)).edges:
                published[change.key] = change.edge
    last = {(note_id, origin): tags for note_id, origin, tags in history}
    found = await rows(writer)
    assert {
        (row.note.note_id, row.note.origin): [tag.tag_id for tag in row.note.tags] for row in found.values()
    } == {key: tags for key, tags in last.items() if tags is not None}
    assert {key for key, edge in published.items() if edge is not None} == {
        edge_key(edge) for row in found.values() for edge in edges_of(row.note)
    }


async def test_vectors_of_the_graph_have_the_encoder_s_hash(graph):
    assert (graph.encoder_hash, graph.dimension) == (ENCODER_HASH, DIMENSION)
