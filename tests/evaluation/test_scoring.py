from dataclasses import replace

import numpy as np

from streamproc.evaluation.scoring import score
from tests.evaluation.worlds import MODELS


def test_only_what_reaches_the_threshold_is_emitted_the_surest_first(scored):
    for ranked, emitted, confidences in zip(scored.ranked, scored.emitted, scored.confidences, strict=True):
        assert emitted == ranked[: len(emitted)]
        assert len(emitted) == (confidences >= 0.5).sum()


def test_rows_follow_the_notes(scored):
    assert len(scored.right) == len(scored.note_of) == sum(map(len, scored.confidences))
    assert scored.right.sum() == len(scored.notes)  # one right tag each, and recall brings it


def test_a_note_without_candidates_is_not_asked_about(scored):
    empty = replace(scored.recalled[0], tags=(), evidence=scored.recalled[0].evidence[:0], judged=())
    again = score(scored.notes[:2], [empty, scored.recalled[1]], MODELS)
    assert [len(each) for each in again.confidences] == [0, len(scored.confidences[1])]
    np.testing.assert_array_equal(again.confidences[1], scored.confidences[1])


def test_progress_ends_with_all_notes(scored):
    told = []
    score(scored.notes, scored.recalled, MODELS, lambda done, total: told.append((done, total)))
    assert told[-1] == (len(scored.notes), len(scored.notes))
