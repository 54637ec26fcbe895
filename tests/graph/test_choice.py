from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.events.note import Note
from streamproc.graph.discriminant import TagSums
from streamproc.graph.recall import recall
from streamproc.graph.thresholds import FITTED, PAPER
from streamproc.graph.uses import COUNTED
from tests.graph.recalling import (
    AROUND,
    NOTE,
    TAG_IDS,
    Judges,
    View,
    hits,
    ids,
    merged,
    tag,
)


def test_a_confirmed_tag_keeps_its_place_among_many_candidates():
    tags = [tag(f"t{number}") for number in range(60)]
    near = [(each.tag_id, 0.9 - number / 100) for number, each in enumerate(tags[:50])]
    found = recall(NOTE, hits(near), View(tags), Judges({"n": {"t59": True}}), FITTED)
    assert len(found.tags) == FITTED.candidates
    assert "t59" in ids(found)


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


def named_and_near(found):
    """Of 40 tags named in the note and 40 near it, how many of the near ones are among the candidates."""
    words = [tag(f"w{number}", name=f"word{number}") for number in range(40)]
    near = [tag(f"near{number:02}", name=f"elsewhere{number}") for number in range(40)]
    note = Note(note_id="n", text=" ".join(each.name for each in words))
    tags = hits([(each.tag_id, 0.5 - number / 100) for number, each in enumerate(near)]).tags
    every = replace(FITTED, max_lexical=40)
    candidates = ids(recall(note, replace(found, tags=tags), View(words + near), Judges(), every))
    assert len(candidates) == FITTED.candidates
    return [each for each in candidates if each.startswith("near")]


def labelled(*notes):
    """Hits of a graph where people gave these tags to notes, one list a note; all of them are far."""
    sums = TagSums(2)
    sums.add(notes, np.tile(np.array([[1, 0]], dtype=np.float32), (len(notes), 1)))
    discriminant = sums.discriminant()
    (likeness,) = discriminant.likenesses(np.array([[0, 1]], dtype=np.float32))
    return replace(hits(), likeness=likeness, uses=dict.fromkeys(discriminant.rows, 1))


def test_where_nobody_has_used_any_tag_the_nearest_have_places_beside_those_that_are_named():
    first = FITTED.reserved_content_tag + FITTED.reserved_unseen
    assert named_and_near(replace(hits(), uses={})) == [f"near{number:02}" for number in range(first)]


def test_the_nearest_tags_have_fewer_places_the_more_labels_are_of_tags_that_were_used_before():
    often = [["old"], ["old"]] * 4
    assert len(named_and_near(labelled(*often))) == FITTED.reserved_content_tag
    every_second = labelled(["a"], ["b"], ["c"], ["d"], ["old"], ["old"], ["old"], ["old"])
    assert len(named_and_near(every_second)) == FITTED.reserved_content_tag + round(
        FITTED.reserved_unseen / 2
    )
    assert len(named_and_near(hits())) == FITTED.reserved_content_tag  # the graph cannot tell


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
