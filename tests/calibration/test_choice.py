import numpy as np
import pytest

from streamproc.calibration.choice import LEAST_NOTES, fit_confidences
from streamproc.calibration.figures import figures_of
from streamproc.graph.evidence import FEATURES
from streamproc.inference.calibration import Adapted, Beta, Evidence, Identity, Temperature, Term, apply_map
from tests.calibration.worlds import sample_of

EVIDENT = Adapted(1.0, 1.0, -1.5, (Term("vote_10", (0.0, 1.2), (0.0, 7.0)),))


def measured(calibration, sample):
    q = apply_map(calibration, sample.probability, Evidence(FEATURES, sample.evidence))
    return figures_of(q, sample.right, sample.note, sample.notes)


@pytest.mark.parametrize("notes", [200, 2000])
@pytest.mark.parametrize(
    "truth", [Temperature(2.5), Beta(0.6, 1.5, -1.0), EVIDENT], ids=lambda t: type(t).__name__
)
def test_a_known_miscalibration_is_put_right(truth, notes):
    fitted = fit_confidences(sample_of(truth, notes), Identity())
    unseen = sample_of(truth, 3000, seed=9)
    before, after = measured(Identity(), unseen), measured(fitted.calibration, unseen)
    assert after.error - after.floor < (0.02 if notes == 2000 else 0.05)
    assert after.error < before.error
    assert after.log_loss < before.log_loss


def test_confidences_that_are_right_stay_as_they_are():
    for seed in range(3):
        fitted = fit_confidences(sample_of(Identity(), 300, seed), Identity())
        unseen = sample_of(Identity(), 1000, seed=seed + 10)
        assert measured(fitted.calibration, unseen).log_loss < measured(Identity(), unseen).log_loss + 0.002


def test_evidence_is_heard_only_where_it_helps():
    heard = fit_confidences(sample_of(EVIDENT, 1500), Identity()).calibration
    assert isinstance(heard, Adapted)
    assert "vote_10" in {term.column for term in heard.terms}
    deaf = fit_confidences(sample_of(Temperature(2.5), 1500), Identity())
    assert "evidence" not in deaf.form


def test_with_few_labelled_notes_the_map_in_force_stays():
    in_force = Temperature(1.3)
    fitted = fit_confidences(sample_of(EVIDENT, LEAST_NOTES - 1), in_force)
    assert fitted.calibration is in_force
    assert fitted.form == ""
    assert fitted.before == fitted.after


def test_without_a_single_right_candidate_the_map_in_force_stays():
    assert fit_confidences(sample_of(Beta(1.0, 1.0, -40.0), 300), Identity()).form == ""


def test_the_figures_are_of_notes_that_the_fit_has_not_seen():
    """Labels without rhyme or reason: what is promised must not look better than it will be."""
    fitted = fit_confidences(sample_of(Beta(0.051, 0.051, -1.0), 400), Identity())
    unseen = measured(fitted.calibration, sample_of(Beta(0.051, 0.051, -1.0), 3000, seed=5))
    assert fitted.after.log_loss == pytest.approx(unseen.log_loss, abs=0.02)


def test_the_same_sample_gives_the_same_map():
    first, second = (fit_confidences(sample_of(EVIDENT, 300), Identity()) for _ in range(2))
    assert first.calibration == second.calibration


def test_figures_count_notes_without_candidates():
    sample = sample_of(Identity(), 10)
    q = np.full(len(sample.right), 0.6)
    assert figures_of(q, sample.right, sample.note, 20).coverage == 0.5
