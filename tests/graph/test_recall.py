from dataclasses import replace

import numpy as np
import pytest

from streamproc.events.note import Note
from streamproc.events.tagged import RecallPath
from streamproc.graph.discriminant import LIKENESS, TagSums
from streamproc.graph.evidence import COLUMN
from streamproc.graph.recall import explain, recall
from streamproc.graph.rows import unit
from streamproc.graph.thresholds import FITTED
from streamproc.graph.wording import WORDING, WordCounts, words_of
from tests.graph.recalling import (
    ABC,
    NOTE,
    Judges,
    View,
    deprecated,
    feature,
    hits,
    ids,
    manual,
    merged,
    tag,
)


def test_near_tags_tags_of_near_notes_and_named_tags_are_candidates():
    note = Note(note_id="n", title="All about c")
    found = recall(note, hits([("a", 0.5)], [("m", 0.6, ["b"])]), View(ABC), Judges(), FITTED)
    assert set(ids(found)) == {"a", "b", "c"}
    paths = {found.tags[place].tag_id: explain(found, place)[0] for place in range(3)}
    assert paths == {"a": (RecallPath.C2T,), "b": (RecallPath.C2C2T,), "c": (RecallPath.LEXICAL,)}


def test_a_note_never_recalls_itself():
    found = recall(NOTE, hits([], [("n", 1.0, ["a"]), ("m", 0.5, ["b"])]), View(ABC), Judges(), FITTED)
    assert ids(found) == ["b"]
    assert feature(found, "b", "vote_1") == 1


def test_tags_that_are_unknown_deprecated_or_reserved_to_people_are_no_candidates():
    view = View([tag("a"), deprecated("b"), manual("c")])
    found = recall(
        NOTE, hits([("c", 0.9), ("x", 0.8)], [("m", 0.6, ["a", "b", "c", "x"])]), view, Judges(), FITTED
    )
    assert ids(found) == ["a"]


def test_a_tag_confirmed_on_the_note_is_a_candidate_and_a_rejected_one_is_not():
    judges = Judges({"n": {"c": True, "a": False}})
    found = recall(NOTE, hits([("a", 0.9)], [("m", 0.6, ["a", "b"])]), View(ABC), judges, FITTED)
    assert dict(zip(ids(found), found.judged, strict=True)) == {"c": True, "b": None}


def test_passages_about_a_candidate_are_evidence():
    view = View(ABC, {"s": ("a", "b")})
    found = recall(NOTE, hits([("a", 0.5)], segments=[("s", 0.4)]), view, Judges(), FITTED)
    assert ids(found) == ["a"]
    assert feature(found, "a", "passage") == pytest.approx(0.4)
    assert explain(found, 0)[1].segments == ("s",)


def test_nothing_around_means_no_candidates():
    found = recall(NOTE, hits(), View(ABC), Judges(), FITTED)
    assert found.tags == ()
    assert found.evidence.shape == (0, len(COLUMN))


def test_at_most_three_neighbours_explain_a_tag_nearest_first():
    notes = [(f"m{number}", 0.9 - number / 10, ["a"]) for number in range(5)]
    found = recall(NOTE, hits([], notes), View(ABC), Judges(), FITTED)
    assert [each.note_id for each in explain(found, 0)[1].neighbours] == ["m0", "m1", "m2"]


def like(note_tags, asked, dimension=6):
    """How much a vector is like notes that lie along the axis of their tag."""
    random = np.random.default_rng(1)
    tags = sorted({tag_id for of_note in note_tags for tag_id in of_note})
    vectors = 0.3 * random.standard_normal((len(note_tags), dimension))
    for row, of_note in enumerate(note_tags):
        vectors[row, [tags.index(tag_id) for tag_id in of_note]] += 1
    sums = TagSums(dimension)
    sums.add(note_tags, unit(vectors.astype(np.float32)))
    axis = np.zeros((1, dimension), dtype=np.float32)
    axis[0, tags.index(asked)] = 1
    return sums.discriminant().likenesses(axis)[0]


LIKENESS_COLUMNS = [COLUMN[name] for name in LIKENESS]
LABELLED = [("tea",), ("tax",), ("tiles",)] * 20


def test_a_tag_whose_notes_all_together_are_like_the_note_is_recalled_though_none_of_them_is_near():
    found = replace(hits(), likeness=like(LABELLED, "tea"))
    recalled = recall(NOTE, found, View([tag("tea"), tag("tax"), tag("tiles")]), Judges(), FITTED)
    assert recalled.tags[0].tag_id == "tea"
    paths, why = explain(recalled, 0)
    assert paths == (RecallPath.C2C2T,)
    assert why.neighbours == ()
    columns = [recalled.evidence[:, COLUMN[name]] for name in LIKENESS[:4]]
    assert all(column[0] == column.max() for column in columns)


def test_only_so_many_tags_are_recalled_for_their_likeness_and_none_where_it_is_closed():
    found = replace(hits(), likeness=like(LABELLED, "tea"))
    view = View([tag("tea"), tag("tax"), tag("tiles")])
    for most in (0, 1, 2):
        recalled = recall(NOTE, found, view, Judges(), replace(FITTED, max_likely=most))
        assert len(recalled.tags) == most


def test_what_a_note_taught_itself_is_left_out():
    likeness = like(LABELLED, "tea")
    near = replace(hits(notes=[("n", 1.0, ["tea"]), ("m", 0.5, ["tea"])]), likeness=likeness)
    own = recall(NOTE, near, View([tag("tea")]), Judges(), FITTED)
    expected = likeness.leaving_out(("tea",)).columns([("tea",)])
    assert own.evidence[:, LIKENESS_COLUMNS] == pytest.approx(expected, abs=1e-5)
    another = recall(Note(note_id="x", title="x"), near, View([tag("tea")]), Judges(), FITTED)
    assert another.evidence[:, LIKENESS_COLUMNS] == pytest.approx(likeness.columns([("tea",)]), abs=1e-5)
    assert np.abs(own.evidence - another.evidence).max() > 1e-3


def test_what_people_said_of_the_note_itself_is_left_out_as_its_own_labels_are():
    likeness = like(LABELLED, "tea")
    near = replace(hits(notes=[("n", 1.0, ["tax"])]), likeness=likeness)
    view = View([tag("tea"), tag("tax"), tag("tiles")])
    judged = recall(NOTE, near, view, Judges({"n": {"tea": True, "tax": False}}), FITTED)
    left_out = likeness.leaving_out(("tea",))
    expected = left_out.columns([(tag_id,) for tag_id in ids(judged)])
    assert judged.evidence[:, LIKENESS_COLUMNS] == pytest.approx(expected, abs=1e-5)
    # Where the graph does not have the note it has taught nothing.
    absent = recall(NOTE, replace(near, notes=()), view, Judges({"n": {"tea": True}}), FITTED)
    expected = likeness.columns([(tag_id,) for tag_id in ids(absent)])
    assert absent.evidence[:, LIKENESS_COLUMNS] == pytest.approx(expected, abs=1e-5)


def test_a_merged_tag_s_notes_speak_for_its_successor():
    found = replace(hits(), likeness=like([("old",), ("tax",), ("tiles",)] * 20, "old"))
    view = View([tag("new"), merged("old", into="new"), tag("tax"), tag("tiles")])
    recalled = recall(NOTE, found, view, Judges(), FITTED)
    assert recalled.tags[0].tag_id == "new"
    assert recalled.evidence[0, COLUMN["likeness"]] > 0


def test_a_tag_of_the_history_that_is_no_candidate_any_more_is_not_recalled():
    found = replace(hits(), likeness=like(LABELLED, "tea"))
    for gone in (manual("tea"), deprecated("tea")):
        recalled = recall(NOTE, found, View([gone, tag("tax")]), Judges(), FITTED)
        assert [each.tag_id for each in recalled.tags] == ["tax"]


def worded(texts):
    """What the words of labelled notes tell."""
    counts = WordCounts()
    counts.add(
        [(tag_id,) for tag_id, _ in texts], [words_of(Note(note_id="m", text=text)) for _, text in texts]
    )
    return counts.model()


WORDED = [("tea", "oolong steeped"), ("tax", "deduct receipts"), ("tiles", "grout cracked")] * 5
POT = Note(note_id="n", text="a pot of oolong")


def test_a_tag_whose_notes_use_the_words_of_the_note_is_recalled_though_none_of_them_is_near():
    found = replace(hits(), wording=worded(WORDED))
    recalled = recall(POT, found, View([tag("tea"), tag("tax"), tag("tiles")]), Judges(), FITTED)
    assert recalled.tags[0].tag_id == "tea"
    paths, why = explain(recalled, 0)
    assert paths == (RecallPath.C2C2T,)
    assert why.neighbours == ()
    columns = [recalled.evidence[:, COLUMN[name]] for name in WORDING]
    assert all(column[0] == column.max() > 0 for column in columns[2:])


def test_only_so_many_tags_are_recalled_for_their_words_and_none_where_it_is_closed():
    found = replace(hits(), wording=worded(WORDED))
    view = View([tag("tea"), tag("tax"), tag("tiles")])
    for most in (0, 1, 2):
        assert len(recall(POT, found, view, Judges(), replace(FITTED, max_worded=most)).tags) == most


def test_the_words_that_a_note_taught_itself_are_left_out():
    told = worded([*WORDED, ("tea", POT.text)])
    near = replace(hits(notes=[("n", 1.0, ["tea"])]), wording=told)
    columns = [COLUMN[name] for name in WORDING]
    own = recall(POT, near, View([tag("tea")]), Judges(), FITTED).evidence[:, columns]
    left_out = told.wording(words_of(POT)).leaving_out(("tea",)).columns([("tea",)])
    assert own == pytest.approx(left_out, abs=1e-5)
    said_so = recall(POT, replace(near, notes=(), own={"tea"}), View([tag("tea")]), Judges(), FITTED)
    assert said_so.evidence[:, columns] == pytest.approx(left_out, abs=1e-5)
    another = recall(Note(note_id="x", text=POT.text), near, View([tag("tea")]), Judges(), FITTED)
    assert np.abs(own - another.evidence[:, columns]).max() > 1e-2


def test_a_merged_tag_speaks_with_the_words_of_those_merged_into_it():
    view = View([tag("drinks"), merged("tea", "drinks")])
    found = replace(hits(), wording=worded(WORDED))
    recalled = recall(POT, found, view, Judges(), FITTED)
    assert ids(recalled) == ["drinks"]
