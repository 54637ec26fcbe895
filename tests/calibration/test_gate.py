import numpy as np
import pytest

from streamproc.calibration.gate import LOST, fit_gate
from streamproc.calibration.sample import confidence_of
from streamproc.graph.evidence import FEATURES
from streamproc.inference.calibration import Evidence, Gated, Identity
from tests.calibration.worlds import TIGHT, WIDE, twins_of


def fitted_to(inside, outside):
    return fit_gate(
        inside, inside.probability.astype(np.float64), outside, outside.probability.astype(np.float64)
    )


def emitted(gate, sample):
    return confidence_of(sample, Gated(Identity(), gate)) >= 0.5


def test_notes_that_belong_to_no_tag_are_held_back_and_few_others():
    gate = fitted_to(*twins_of(1500, apart=0.2)).gate
    inside, outside = twins_of(3000, apart=0.2, seed=1)
    assert emitted(gate, outside).mean() < 0.1
    assert emitted(gate, inside).mean() > 1 - LOST


def test_what_is_near_is_a_matter_of_the_tag():
    """A wide tag's own notes are farther than notes of no tag are from those of a tight one."""
    gate = fitted_to(*twins_of(1500, apart=0.2)).gate
    assert gate.tags[WIDE] > 0 > gate.tags[TIGHT]
    inside, outside = twins_of(10, apart=0.2, seed=1)
    wide, tight = inside.tag == WIDE, outside.tag == TIGHT
    assert inside.evidence[wide].max() < outside.evidence[tight].max()
    assert emitted(gate, inside)[wide].all()
    assert not emitted(gate, outside)[tight].any()


def test_the_figures_are_of_notes_that_the_fit_has_not_seen():
    figures = fitted_to(*twins_of(1500, apart=0.1)).figures
    gate = fitted_to(*twins_of(1500, apart=0.1)).gate
    inside, outside = twins_of(5000, apart=0.1, seed=7)
    assert figures.outside == 1500
    assert figures.untagged_before == 0
    assert figures.untagged == pytest.approx(1 - emitted(gate, outside).mean(), abs=0.08)
    assert figures.lost == pytest.approx(1 - emitted(gate, inside)[inside.right].mean(), abs=0.015)


def test_there_is_no_gate_where_nothing_tells_such_notes_apart():
    """The means of both tags differ, what a tag's notes bring with and without it does not."""
    assert fitted_to(*twins_of(1500, apart=0.0)) is None


@pytest.mark.parametrize("notes", [60, 110])
def test_there_is_no_gate_where_few_notes_cannot_prove_that_few_are_lost(notes):
    assert fitted_to(*twins_of(notes, apart=0.4)) is None


def test_confidences_of_the_sample_are_held_out():
    inside, outside = twins_of(600, apart=0.2)
    fitted = fitted_to(inside, outside)
    by_all = confidence_of(inside, Gated(Identity(), fitted.gate))
    assert 0 < (fitted.held_out != by_all).mean() < 0.1
    assert (fitted.held_out <= inside.probability).all()
    kept = fitted.held_out[inside.right] >= 0.5
    assert 1 - kept.mean() == pytest.approx(fitted.figures.lost)


def test_the_same_notes_give_the_same_gate_and_a_tag_nobody_has_seen_is_taken_for_a_usual_one():
    first, second = (fitted_to(*twins_of(400, apart=0.3)).gate for _ in range(2))
    assert first == second
    row = np.zeros((1, len(FEATURES)), dtype=np.float32)
    tight, wide, new = (first.score(Evidence(FEATURES, row, [tag]))[0] for tag in (TIGHT, WIDE, "new"))
    assert tight < new < wide
