from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.events.graph import Provenance
from streamproc.events.note import Note
from streamproc.events.tagged import RecallPath
from streamproc.graph.discriminant import LIKENESS, TagSums
from streamproc.graph.evidence import COLUMN
from streamproc.graph.recall import explain, recall
from streamproc.graph.rows import unit
from streamproc.graph.thresholds import FITTED, PAPER
from streamproc.graph.uses import COUNTED
from streamproc.graph.wording import WORDING, WordCounts, words_of
from tests.graph.recalling import NOTE, Judges, View, deprecated, edge, hits, manual, merged, tag


def ids(recalled):
    return [each.tag_id for each in recalled.tags]


def feature(recalled, tag_id, name):
    return float(recalled.evidence[ids(recalled).index(tag_id), COLUMN[name]])


ABC = [tag("a"), tag("b"), tag("c")]


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


def test_a_tag_confirmed_on_the_note_is_a_candidate_and_a_rejected_one_is_not():
    judges = Judges({"n": {"c": True, "a": False}})
    found = recall(NOTE, hits([("a", 0.9)], [("m", 0.6, ["a", "b"])]), View(ABC), judges, FITTED)
    assert dict(zip(ids(found), found.judged, strict=True)) == {"c": True, "b": None}


def test_a_confirmed_tag_keeps_its_place_among_many_candidates():
    tags = [tag(f"t{number}") for number in range(60)]
    near = [(each.tag_id, 0.9 - number / 100) for number, each in enumerate(tags[:50])]
    found = recall(NOTE, hits(near), View(tags), Judges({"n": {"t59": True}}), FITTED)
    assert len(found.tags) == FITTED.candidates
    assert "t59" in ids(found)


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


def test_the_papers_constants_take_fifteen_near_tags_and_five_of_near_notes():
    tags = [tag(f"t{number:02}") for number in range(40)]
    near = [(each.tag_id, 0.9 - number / 100) for number, each in enumerate(tags[:20])]
    notes = [("m", 0.9, [each.tag_id for each in tags[20:]]), ("k", 0.7, ["t00"])]
    found = recall(NOTE, hits(near, notes), View(tags), Judges(), PAPER)
    assert ids(found) == [each.tag_id for each in [*tags[:15], *tags[20:25]]]


def test_the_nearest_tag_stays_even_when_nobody_has_used_it():
    tags = [tag(f"t{number:02}") for number in range(60)]
    notes = [("m", 0.9, [each.tag_id for each in tags[:50]])]
    found = recall(NOTE, hits([("t59", 0.2)], notes), View(tags), Judges(), replace(FITTED, candidates=10))
    assert len(found.tags) == 10
    assert "t59" in ids(found)


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


SIMILARITY = st.floats(-0.25, 1.0, width=32)
TAG_IDS = [f"t{number}" for number in range(8)]
AROUND = st.tuples(
    st.dictionaries(st.sampled_from(TAG_IDS), SIMILARITY),
    st.dictionaries(
        st.sampled_from([f"m{number}" for number in range(12)]),
        st.tuples(SIMILARITY, st.lists(st.sampled_from(TAG_IDS), unique=True, max_size=4)),
    ),
)


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


@settings(max_examples=80, deadline=None)
@given(AROUND)
def test_the_evidence_of_a_tag_does_not_depend_on_the_other_candidates(around):
    tags, notes = around
    view = View([tag(tag_id) for tag_id in TAG_IDS])
    found = hits(list(tags.items()), [(note_id, *rest) for note_id, rest in notes.items()])
    every = recall(NOTE, found, view, Judges(), replace(FITTED, candidates=100))
    few = recall(NOTE, found, view, Judges(), replace(FITTED, candidates=2, reserved_content_tag=0))
    for row, each in enumerate(few.tags):
        np.testing.assert_array_equal(few.evidence[row], every.evidence[ids(every).index(each.tag_id)])
    assert ids(few) == ids(every)[:2]
    assert np.isfinite(every.evidence).all()


def test_the_last_places_are_for_tags_that_nobody_near_by_has_used():
    used = [tag(f"used{number}") for number in range(6)]
    new = [tag(f"new{number}") for number in range(6)]
    found = hits(
        [(each.tag_id, 0.3 - number / 100) for number, each in enumerate(new)],
        [("m", 0.9, [each.tag_id for each in used])],
    )
    some = replace(FITTED, candidates=6, carried=4)
    candidates = ids(recall(NOTE, found, View(used + new), Judges(), some))
    assert [each for each in candidates if each.startswith("new")] == ["new0", "new1"]
    assert len(candidates) == 6
    # Where few are new the places go to the others.
    only_used = ids(
        recall(
            NOTE, hits([], found.notes and [("m", 0.9, [t.tag_id for t in used])]), View(used), Judges(), some
        )
    )
    assert len(only_used) == 6


USED = [tag(f"used{number:02}") for number in range(40)]
UNUSED = [tag(f"unused{number}") for number in range(8)]
EVERYBODY_USES = {each.tag_id: COUNTED for each in USED}
CROWD = [("m", 0.9, [each.tag_id for each in USED[:30]]), ("k", 0.8, [each.tag_id for each in USED[5:30]])]
NEAR_UNUSED = [(each.tag_id, 0.3 - number / 100) for number, each in enumerate(UNUSED)]
NEAR_USED = [(each.tag_id, 0.5 - number / 100) for number, each in enumerate(USED[28:])]
TWENTY = replace(FITTED, candidates=20)


def crowded(uses, near=(*NEAR_UNUSED, *NEAR_USED), crowd=CROWD):
    return replace(hits(near, crowd), uses=uses)


def reserved(found, judges=None, view=None):
    candidates = ids(recall(NOTE, found, view or View(USED + UNUSED), judges or Judges(), TWENTY))
    assert len(candidates) == 20
    return [each for each in candidates if not each.startswith("used")]


def test_places_are_kept_for_the_nearest_tags_without_a_history():
    assert reserved(crowded(None)) == []
    assert reserved(crowded(EVERYBODY_USES)) == [each.tag_id for each in UNUSED[: FITTED.reserved_new_tag]]


def test_a_tag_with_a_history_does_not_take_the_places_of_those_without():
    assert reserved(crowded({**EVERYBODY_USES, "unused0": FITTED.few_uses})) == [
        each.tag_id for each in UNUSED[1 : 1 + FITTED.reserved_new_tag]
    ]


def test_a_tag_without_a_history_whose_name_stands_in_the_note_has_a_place_though_it_is_not_near():
    note = Note(note_id="n", text="something about unused7")
    found = crowded(EVERYBODY_USES, near=NEAR_USED)
    assert "unused7" in ids(recall(note, found, View(USED + UNUSED), Judges(), TWENTY))


def family(**parents):
    """Unused tags, some of which have parents."""
    return [tag(each.tag_id, parents=parents.get(each.tag_id, ())) for each in UNUSED]


def test_among_tags_without_a_history_the_kin_of_tags_that_neighbours_carry_comes_first():
    found = crowded(EVERYBODY_USES)
    # A child of one that is voted for, a child of its parent, and a parent of one.
    used = [tag("used05", parents=("unused7", "topic")), *[each for each in USED if each.tag_id != "used05"]]
    view = View([*used, *family(unused5=("used05",), unused6=("topic",))])
    assert set(reserved(found, view=view)) == {"unused5", "unused6", "unused7", "unused0", "unused1"}
    # Kin of a tag that nobody near by carries are no nearer for it.
    view = View([*USED, *family(unused5=("used39",), unused6=("topic",))])
    assert reserved(found, view=view) == [each.tag_id for each in UNUSED[: FITTED.reserved_new_tag]]


def test_a_parent_that_was_merged_into_another_leaves_its_children_kin():
    found = crowded(EVERYBODY_USES)
    view = View([*USED, *family(unused7=("old",)), merged("old", "used05")])
    assert "unused7" in reserved(found, view=view)


def test_a_tag_stops_being_new_when_people_confirm_it():
    judges = Judges({"x": {"unused0": True}, "y": {"unused0": True, "unused1": False}})
    assert "unused0" not in reserved(crowded(EVERYBODY_USES), judges)
    assert "unused1" in reserved(crowded(EVERYBODY_USES), judges)


def test_a_tag_has_the_history_of_those_that_were_merged_into_it():
    view = View([*USED, *UNUSED, merged("older", "unused0"), merged("old", "older")])
    assert "unused0" not in reserved(crowded({**EVERYBODY_USES, "old": 3}), view=view)


def test_a_notes_own_tags_are_no_history_for_itself():
    uses = {**EVERYBODY_USES, "unused0": FITTED.few_uses}
    own = [*CROWD, ("n", 1.0, ["unused0"])]
    assert "unused0" in reserved(crowded(uses, crowd=own))
    assert "unused0" not in reserved(crowded(uses))


@settings(max_examples=80, deadline=None)
@given(AROUND, st.dictionaries(st.sampled_from(TAG_IDS), st.integers(FITTED.few_uses + 1, COUNTED)))
def test_where_every_tag_has_a_history_nothing_changes(around, uses):
    tags, notes = around
    found = hits(list(tags.items()), [(note_id, *rest) for note_id, rest in notes.items()])
    all_used = dict.fromkeys(TAG_IDS, COUNTED) | uses
    some = replace(FITTED, candidates=3)
    view = View([tag(tag_id) for tag_id in TAG_IDS])
    before = recall(NOTE, found, view, Judges(), some)
    after = recall(NOTE, replace(found, uses=all_used), view, Judges(), some)
    assert ids(after) == ids(before)
    np.testing.assert_array_equal(after.evidence, before.evidence)


@settings(max_examples=80, deadline=None)
@given(AROUND, st.dictionaries(st.sampled_from(TAG_IDS), st.integers(1, COUNTED)))
def test_the_nearest_tag_without_a_history_is_recalled_and_no_place_is_lost(around, uses):
    tags, notes = around
    found = replace(
        hits(list(tags.items()), [(note_id, *rest) for note_id, rest in notes.items()]), uses=uses
    )
    view = View([tag(tag_id) for tag_id in TAG_IDS])
    some = replace(FITTED, candidates=3, reserved_new_tag=2, reserved_content_tag=0)
    every = recall(NOTE, found, view, Judges(), replace(some, candidates=100))
    few = recall(NOTE, found, view, Judges(), some)
    assert len(few.tags) == min(3, len(every.tags))
    assert len(set(ids(few))) == len(few.tags)
    near = [hit.tag_id for hit in found.tags if hit.similarity >= 0]
    new = [tag_id for tag_id in near if uses.get(tag_id, 0) < some.few_uses]
    if len(new) <= some.reserved_new_tag:
        assert set(ids(few)) >= set(new)
    for row, each in enumerate(few.tags):
        np.testing.assert_array_equal(few.evidence[row], every.evidence[ids(every).index(each.tag_id)])


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
