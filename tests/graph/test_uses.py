from hypothesis import given
from hypothesis import strategies as st

from streamproc.events.graph import Origin, Provenance
from streamproc.graph.keys import note_row_key
from streamproc.graph.uses import COUNTED, TagUses, counted, given_by_people
from tests.graph.recalling import edge

KEYS = [note_row_key(note_id, origin) for note_id in ("m", "n", "o'p:q", "r", "s") for origin in Origin]
WRITES = st.lists(
    st.tuples(st.sampled_from(KEYS), st.frozensets(st.sampled_from(["a", "b", "c"]))), max_size=40
)


def notes_by_tag(rows):
    """The rule in plain words: a note counts once, whichever of its rows has the tag."""
    notes = {}
    for key, tags in rows.items():
        notes.setdefault(key.partition(":")[2], set()).update(tags)
    return counted(notes.values())


def test_what_people_said_counts_and_what_models_said_does_not():
    edges = [
        edge("a", Provenance.IMPORT),
        edge("b", Provenance.AUTHOR),
        edge("c", Provenance.HUMAN),
        edge("d", Provenance.MODEL),
        edge("e", Provenance.IMPORT, 0.0),
    ]
    assert given_by_people(edges) == {"a", "b", "c"}


def test_notes_are_counted_up_to_a_few():
    assert counted([{"a"}, {"a", "b"}, *[{"c"}] * 100]) == {"a": 2, "b": 1, "c": COUNTED}


@given(WRITES)
def test_rows_that_come_change_and_go_leave_the_count_of_those_that_stand(writes):
    uses, rows = TagUses(), {}
    for key, tags in writes:
        uses.put(key, tags)
        rows[key] = tags
        assert uses.counts() == notes_by_tag(rows)


@given(WRITES)
def test_what_is_told_twice_counts_once(writes):
    once, twice = TagUses(), TagUses()
    for key, tags in writes:
        once.put(key, tags)
        twice.put(key, tags)
        twice.put(key, tags)
    assert once.counts() == twice.counts()


def test_counts_that_were_given_away_do_not_change():
    uses = TagUses()
    uses.put(KEYS[0], {"a"})
    before = uses.counts()
    uses.put(KEYS[0], ())
    assert before == {"a": 1}
    assert uses.counts() == {}


def test_a_tag_with_a_long_history_keeps_it_and_takes_no_memory_for_its_rows():
    uses = TagUses()
    keys = [note_row_key(f"n{number}", Origin.IMPORT) for number in range(1000)]
    for key in keys:
        uses.put(key, {"common"})
    for key in keys:
        uses.put(key, ())
    assert uses.counts() == {"common": COUNTED}
    assert not uses._tags
    assert not uses._rows
