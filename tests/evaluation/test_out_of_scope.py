from dataclasses import replace

import pytest

from streamproc.errors import UserError
from streamproc.evaluation.out_of_scope import out_of_scope


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
