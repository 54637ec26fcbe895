from dataclasses import replace

import pytest

from streamproc.errors import UserError
from streamproc.evaluation.out_of_scope import out_of_scope, without_drawn


def test_notes_of_tags_that_are_gone_get_no_tag_and_the_others_keep_theirs(experiment, scored):
    (row,) = out_of_scope(experiment, scored, 2, seed=0)
    assert (len(row.tags), row.notes, row.rest) == (2, 8, 16)
    assert row.untagged > 0.5
    assert row.rest_untagged == 0
    assert row.accuracy == row.accuracy_before == row.first == row.first_before == 1


def test_the_tags_that_are_gone_are_never_candidates(experiment, scored):
    (row,) = out_of_scope(experiment, scored, 5, seed=1)
    assert row.rest == 4
    assert row.notes == 20


@pytest.mark.parametrize("count", [0, 6, 7])
def test_some_tags_must_go_and_some_must_stay(experiment, scored, count):
    with pytest.raises(UserError, match="cannot be taken out"):
        out_of_scope(experiment, scored, count, seed=0)


def test_sets_with_several_tags_a_note_are_refused(experiment, scored):
    first, *others = experiment.prepared.dataset.train
    several = replace(first, gold=frozenset({"baking", "chess"}))
    dataset = replace(experiment.prepared.dataset, train=(several, *others))
    crowded = replace(experiment, prepared=replace(experiment.prepared, dataset=dataset))
    with pytest.raises(UserError, match="have several tags"):
        out_of_scope(crowded, scored, 2, seed=0)


def test_a_map_can_be_fitted_as_if_the_same_tags_had_never_been(experiment, scored):
    (row,) = out_of_scope(experiment, scored, 2, seed=3)
    gone = set(row.tags)
    left = without_drawn(experiment.prepared, 2, seed=3)
    assert {tag.tag_id for tag in left.dataset.tags} == {
        tag.tag_id for tag in experiment.prepared.dataset.tags
    } - gone
    assert [left.repository.resolve(tag) for tag in gone] == [None, None]
    assert len(left.dataset.train) == 32
    for note in (*left.dataset.train, *left.dataset.valid):
        assert not note.gold & gone
    assert sum(bool(note.gold) for note in left.dataset.valid) == 8


def test_what_cannot_be_measured_cannot_be_fitted_either(experiment):
    with pytest.raises(UserError, match="cannot be taken out"):
        without_drawn(experiment.prepared, 6, seed=0)
