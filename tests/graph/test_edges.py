import orjson
from hypothesis import given
from hypothesis import strategies as st

from streamproc.events.codec import decode_edge, edge_key
from streamproc.events.graph import GraphTag, Origin, Provenance, Relation, SimilarTo
from streamproc.events.topics import TopicNames
from streamproc.graph.edges import difference, edge_records, edges_of
from tests.graph.material import near, source, stored, tagged

NAMES = st.sampled_from(["a", "b", "c"])
TAGS = st.lists(
    st.builds(
        GraphTag,
        tag_id=NAMES,
        weight=st.sampled_from([0.5, 1.0]),
        provenance=st.sampled_from([Provenance.HUMAN, Provenance.MODEL]),
    ),
    max_size=4,
)
NEAR = st.lists(st.builds(SimilarTo, target=NAMES, similarity=st.sampled_from([0.4, 0.9])), max_size=3)
ROWS = st.lists(
    st.builds(
        lambda origin, tags, tags_near, notes_near: stored(
            "n", *tags, origin=origin, similar_tags=tuple(tags_near), similar_notes=tuple(notes_near)
        ),
        st.sampled_from(list(Origin)),
        TAGS,
        NEAR,
        NEAR,
    ),
    max_size=2,
    unique_by=lambda row: row.origin,
)


def published(rows):
    """What a reader of ``graph.edges`` holds once these rows are all there is."""
    return applied({}, difference([], rows, source(0)))


def applied(state, changes):
    state = dict(state)
    for change in changes:
        if change.edge is None:
            state.pop(change.key, None)
        else:
            state[change.key] = change.edge
    return state


@given(ROWS, ROWS)
def test_the_difference_takes_a_reader_from_the_old_edges_to_the_new(old, new):
    assert applied(published(old), difference(old, new, source(1))) == published(new)


@given(ROWS)
def test_the_same_record_twice_changes_nothing(rows):
    assert difference(rows, rows, source(1)) == ()


@given(ROWS)
def test_the_order_of_rows_does_not_matter(rows):
    assert published(rows) == published(rows[::-1])


def test_a_deleted_note_leaves_a_tombstone_for_each_edge():
    note = stored("n", tagged("a"), similar_tags=(near("b"),), similar_notes=(near("m"),))
    changes = difference([note], [], source(1))
    assert [change.edge for change in changes] == [None] * 3
    assert {tuple(orjson.loads(change.key)) for change in changes} == {
        ("n", "tagged", "a", "import"),
        ("n", "similar_tag", "b", "encoder"),
        ("n", "similar_note", "m", "encoder"),
    }


def test_an_edge_that_the_other_origin_still_has_stays():
    streamed = stored("n", tagged("a"), origin=Origin.STREAM)
    imported = stored("n", tagged("a"), tagged("b"), origin=Origin.IMPORT)
    assert difference([streamed, imported], [imported], source(1)) == ()


def test_similarities_are_the_encoder_s_word():
    note = stored("n", similar_tags=(near("b", 0.4),))
    (edge,) = edges_of(note)
    assert (edge.relation, edge.provenance, edge.weight) == (Relation.SIMILAR_TAG, Provenance.ENCODER, 0.4)


def test_records_carry_the_key_and_the_position_they_come_from():
    changes = difference([stored("n", tagged("gone"))], [stored("n", tagged("ü"))], source(5))
    removed, written = edge_records(changes, TopicNames("p."))
    assert (removed.topic, removed.value) == ("p.graph.edges", None)
    edge = decode_edge(written.value)
    assert written.key == edge_key(edge)
    headers = dict(written.headers)
    assert headers["ce_sourceposition"] == b"graph.notes/0/5"
    assert headers["ce_id"] != dict(removed.headers)["ce_id"]
