from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.events.graph import Provenance
from streamproc.events.tagged import RecallPath
from streamproc.graph.evidence import COLUMN
from streamproc.graph.recall import explain, recall
from streamproc.graph.thresholds import FITTED
from tests.graph.recalling import (
    ABC,
    AROUND,
    NOTE,
    SIMILARITY,
    TAG_IDS,
    Judges,
    View,
    edge,
    feature,
    hits,
    ids,
    merged,
    tag,
)


def test_edges_of_a_merged_tag_count_for_its_successor_once_a_note():
    view = View([tag("a"), tag("b"), merged("old", "a")])
    found = recall(
        NOTE,
        hits([("old", 0.7), ("a", 0.4)], [("m", 0.6, ["old", "a"]), ("k", 0.5, ["b"])]),
        view,
        Judges(),
        FITTED,
    )
    assert sorted(ids(found)) == ["a", "b"]
    assert feature(found, "a", "cosine") == pytest.approx(0.7)
    assert feature(found, "a", "vote_3") == pytest.approx(0.5)


def test_a_judgement_of_a_neighbour_overrides_its_edge():
    around = hits([], [("m", 0.6, ["a"]), ("k", 0.5, ["a"])])
    judges = Judges({"m": {"a": False, "b": True}})
    found = recall(NOTE, around, View(ABC), judges, FITTED)
    assert feature(found, "a", "judged_against") == pytest.approx(0.6)
    assert feature(found, "a", "best_neighbour") == pytest.approx(0.5)
    assert feature(found, "b", "judged_for") == pytest.approx(0.6)
    place = ids(found).index("b")
    assert explain(found, place)[1].neighbours[0].provenance is Provenance.HUMAN


def model(tag_id, confidence=0.9):
    return edge(tag_id, Provenance.MODEL, confidence)


def test_edges_of_models_are_heard_from_a_confidence_on():
    around = hits([], [("m", 0.6, [model("a", 0.2), model("b", 0.19)])])
    found = recall(NOTE, around, View(ABC), Judges(), FITTED)
    assert ids(found) == ["a"]


def test_a_models_edge_brings_a_candidate_and_fills_no_column_of_peoples_votes():
    around = hits([], [("m", 0.7, [model("a")]), ("k", 0.6, ["b"])])
    found = recall(NOTE, around, View(ABC), Judges(), FITTED)
    assert set(ids(found)) == {"a", "b"}
    assert feature(found, "a", "vote_model") > 0
    assert feature(found, "b", "vote_model") == 0
    for name in ("best_neighbour", "mean_neighbour", "vote_1", "vote_50", "vote_soft", "vote_sharp"):
        assert feature(found, "a", name) == 0
    assert feature(found, "b", "vote_1") == 1


def test_a_note_with_both_kinds_of_edges_votes_with_those_of_people():
    around = hits([], [("m", 0.6, ["a", model("b")]), ("k", 0.5, ["c"])])
    found = recall(NOTE, around, View(ABC), Judges(), FITTED)
    assert feature(found, "a", "vote_1") == 1
    assert feature(found, "a", "vote_model") == 0
    assert feature(found, "b", "vote_50") == 0
    assert feature(found, "b", "vote_model") > 0


def test_a_judgement_silences_a_models_edge():
    around = hits([], [("m", 0.6, [model("a"), model("b")]), ("k", 0.5, ["a"])])
    found = recall(NOTE, around, View(ABC), Judges({"m": {"a": False, "b": True}}), FITTED)
    assert feature(found, "a", "vote_model") == 0
    assert feature(found, "b", "vote_model") == 0
    assert feature(found, "b", "vote_1") == 1


def test_the_more_models_agree_the_higher_a_tag_ranks():
    notes = [(f"m{number}", 0.6, [model("a" if number else "b")]) for number in range(5)]
    found = recall(NOTE, hits([], notes), View(ABC), Judges(), FITTED)
    assert ids(found) == ["a", "b"]


def test_models_are_heard_as_far_as_the_neighbours_reach():
    notes = [("m", 0.8, [model("a")]), ("k", 0.7, ["b"]), ("far", 0.6, [model("c")])]
    found = recall(NOTE, hits([], notes), View(ABC), Judges(), replace(FITTED, neighbours=1))
    assert set(ids(found)) == {"a", "b"}


def test_a_neighbour_that_a_model_labelled_explains_a_tag_with_its_provenance():
    around = hits([], [("m", 0.7, [model("a")]), ("k", 0.6, ["a"]), ("l", 0.5, [model("a", 0.1)])])
    found = recall(NOTE, around, View(ABC), Judges(), FITTED)
    paths, why = explain(found, 0)
    assert paths == (RecallPath.C2C2T,)
    assert [(each.note_id, each.provenance) for each in why.neighbours] == [
        ("m", Provenance.MODEL),
        ("k", Provenance.IMPORT),
    ]


def test_votes_weigh_human_import_author():
    order = [Provenance.HUMAN, Provenance.IMPORT, Provenance.AUTHOR]
    tags = [tag(each.value) for each in order]
    notes = [(each.value, 0.6, [edge(each.value, each)]) for each in order]
    found = recall(NOTE, hits([], notes), View(tags), Judges(), FITTED)
    votes = [feature(found, each.value, "vote_10") for each in order]
    assert votes == sorted(votes, reverse=True)
    assert len(set(votes)) == len(order)


def test_notes_without_labels_do_not_take_a_voters_place():
    silent = [(f"s{number}", 0.9, []) for number in range(5)]
    found = recall(
        NOTE, hits([], [*silent, ("m", 0.5, ["a"])]), View(ABC), Judges(), replace(FITTED, neighbours=1)
    )
    assert feature(found, "a", "vote_1") == 1


WRITTEN_BACK = st.dictionaries(
    st.sampled_from([*(f"m{number}" for number in range(12)), *(f"w{number}" for number in range(12))]),
    st.tuples(SIMILARITY, st.lists(st.sampled_from(TAG_IDS), unique=True, max_size=4), st.floats(0.0, 1.0)),
)


@settings(max_examples=120, deadline=None)
@given(AROUND, WRITTEN_BACK, st.integers(1, 12))
def test_edges_of_models_never_change_what_people_voted(around, written_back, neighbours):
    tags, notes = around
    both = {note_id: (similarity, list(edges)) for note_id, (similarity, edges) in notes.items()}
    for note_id, (similarity, tag_ids, confidence) in written_back.items():
        of_people = both.setdefault(note_id, (similarity, []))[1]
        # One edge a tag, as a graph gives them: people's word stands before a model's.
        of_people += [model(tag_id, confidence) for tag_id in tag_ids if tag_id not in of_people]
    view = View([tag(tag_id) for tag_id in TAG_IDS])
    wide = replace(FITTED, candidates=100, neighbours=neighbours)
    frozen = recall(
        NOTE, hits(list(tags.items()), [(key, *rest) for key, rest in notes.items()]), view, Judges(), wide
    )
    grown = recall(
        NOTE, hits(list(tags.items()), [(key, *rest) for key, rest in both.items()]), view, Judges(), wide
    )
    others = [column for name, column in COLUMN.items() if name != "vote_model"]
    assert set(ids(frozen)) <= set(ids(grown))
    assert not frozen.evidence[:, COLUMN["vote_model"]].any()
    for row, each in enumerate(frozen.tags):
        again = grown.evidence[ids(grown).index(each.tag_id)]
        np.testing.assert_array_equal(again[others], frozen.evidence[row, others])
