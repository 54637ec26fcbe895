import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streamproc.errors import DecodeError, OutputTooLargeError
from streamproc.events.codec import graph_note_key
from streamproc.events.graph import GraphTag, Origin, Provenance, SimilarTo
from streamproc.events.position import SourcePosition
from streamproc.graph.hits import Edge
from streamproc.graph.keys import (
    MAX_KEY_BYTES,
    from_row_key,
    note_row_key,
    parse_note_key,
    split_note_key,
    to_row_key,
)
from streamproc.graph.rows import (
    MAX_COLUMN_BYTES,
    StoredNote,
    merge_edges,
    pack_details,
    pack_edges,
    stored_note,
    unit,
    unpack_details,
    words_in,
)
from streamproc.graph.wording import pack_words, words_of
from tests.graph.material import graph_note, near, tagged, words

IDS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=256)
WEIGHTS = st.floats(0, 1)
TAGS = st.builds(
    GraphTag,
    tag_id=IDS,
    weight=WEIGHTS,
    provenance=st.sampled_from(list(Provenance)),
    confidence=st.none() | WEIGHTS,
)
NEAR = st.builds(SimilarTo, target=IDS, similarity=st.floats(-1, 1))


NOTES = st.builds(
    StoredNote,
    note_id=IDS,
    origin=st.sampled_from(list(Origin)),
    content_hash=st.just("abc"),
    source=st.just(SourcePosition("notes.new", 3, 14)),
    tags=st.lists(TAGS, max_size=8).map(tuple),
    similar_tags=st.lists(NEAR, max_size=4).map(tuple),
    similar_notes=st.lists(NEAR, max_size=4).map(tuple),
    words=st.text().map(lambda text: pack_words(words(text))),
)


@given(NOTES)
def test_a_packed_row_reads_back_as_it_was(note):
    assert unpack_details(note.note_id, note.origin, pack_edges(note.tags), pack_details(note)) == note


@given(IDS, st.sampled_from(list(Origin)))
def test_keys_are_one_to_one_with_ids_and_safe_between_single_quotes(note_id, origin):
    key = note_row_key(note_id, origin)
    assert split_note_key(key) == (note_id, origin)
    assert from_row_key(to_row_key(note_id)) == note_id
    assert key.isascii()
    assert not set(key) & set("'\"\\{}")
    assert len(key) <= MAX_KEY_BYTES
    assert parse_note_key(graph_note_key(note_id, origin)) == (note_id, origin)


@pytest.mark.parametrize(
    "key",
    [None, b"", b"n1", b"[]", b'["n1"]', b'["n1","elsewhere"]', b'["","stream"]', b'[1,"stream"]', b"\xff"],
)
def test_a_key_that_names_no_note_is_poison(key):
    with pytest.raises(DecodeError, match="not a JSON array"):
        parse_note_key(key)


def test_edges_that_exceed_a_column_are_refused_before_anything_is_written():
    tags = [tagged("x" * 250 + str(number)) for number in range(256)]
    with pytest.raises(OutputTooLargeError, match="65535"):
        pack_edges(tags)


@pytest.mark.parametrize("provenance", [Provenance.HUMAN, Provenance.IMPORT, Provenance.MODEL])
def test_a_note_is_stored_with_its_words_for_people_may_label_it_later(provenance):
    note = graph_note("n", tagged("a", provenance=provenance), text="Oolong, steeped twice; oolong, strained")
    kept, expected = words_in(pack_details(stored_note(note))), words_of(note.note)
    assert kept.numbers.tolist() == expected.numbers.tolist()
    assert kept.counts.tolist() == expected.counts.tolist()
    assert 2 in kept.counts


def test_a_row_that_was_written_before_words_were_stored_still_reads():
    written = '["abc",{"topic":"notes.new","partition":3,"offset":14},[null],[["t",0.5]],[]]'
    note = unpack_details("n", Origin.STREAM, pack_edges([tagged("a")]), written)
    assert (note.content_hash, note.similar_tags, note.words) == ("abc", (near("t"),), "")
    assert not len(words_in(written).numbers)


def test_words_that_do_not_fit_beside_similarity_edges_are_left_out_and_the_note_is_kept():
    longest = " ".join(f"word{number}" for number in range(3_000))
    note = stored_note(graph_note("n", tagged("a"), text=longest))
    assert words_in(pack_details(note)).numbers.size
    edges = tuple(near("x" * 240 + f"{number:03}") for number in range(240))
    crowded = replace(note, similar_tags=edges)
    packed = pack_details(crowded)
    assert len(packed) <= MAX_COLUMN_BYTES
    assert unpack_details("n", note.origin, pack_edges(note.tags), packed) == replace(crowded, words="")
    with pytest.raises(OutputTooLargeError, match="similarity edges"):
        pack_details(replace(crowded, similar_notes=edges))


def test_the_strongest_provenance_speaks_for_a_tag_and_then_the_greater_weight():
    human, model = Edge("t", 0.2, Provenance.HUMAN), Edge("t", 0.9, Provenance.MODEL)
    assert merge_edges([(model, human)]) == (human,)
    heavy, light = Edge("u", 0.8, Provenance.MODEL), Edge("u", 0.6, Provenance.MODEL)
    assert merge_edges([(light, human), (heavy,)]) == (heavy, human)


def test_float16_vectors_become_unit_length_again_and_zero_stays_zero():
    rough = np.array([[3, 4], [0, 0]], dtype=np.float16).astype(np.float32)
    assert unit(rough).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]
