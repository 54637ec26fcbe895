import numpy as np
import pytest

from streamproc.calibration.choice import LEAST_NOTES, fit_confidences
from streamproc.calibration.figures import figures_of
from streamproc.calibration.record import in_words, read_record, record_of, write_record
from streamproc.graph.evidence import FEATURES
from streamproc.inference.calibration import (
    Adapted,
    Beta,
    Evidence,
    Gated,
    Identity,
    Temperature,
    Term,
    apply_map,
    ungated,
)
from tests.calibration.worlds import sample_of, twins_of

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


def test_notes_without_their_tags_give_the_map_a_gate():
    inside, outside = twins_of(800, apart=0.2)
    trusting, wary = fit_confidences(inside, Identity()), fit_confidences(inside, Identity(), outside)
    assert trusting.gate is None
    assert isinstance(wary.calibration, Gated)
    assert ungated(wary.calibration) == ungated(trusting.calibration)
    assert wary.gate.untagged > wary.gate.untagged_before
    assert wary.after.coverage < trusting.after.coverage
    assert wary.after == figures_of(wary.held_out, inside.right, inside.note, inside.notes)


def test_a_map_with_a_gate_stays_where_nothing_better_comes_and_is_fitted_anew_without_it():
    inside, outside = twins_of(800, apart=0.2)
    in_force = fit_confidences(inside, Identity(), outside).calibration
    alike, same = twins_of(800, apart=0.0)
    stayed = fit_confidences(alike, in_force, same)
    assert (stayed.calibration, stayed.form, stayed.gate) == (in_force, "", None)
    assert stayed.before == stayed.after
    again = fit_confidences(inside, in_force, outside)
    assert ungated(again.calibration) == ungated(in_force)
    assert again.gate is not None


def test_the_record_keeps_the_gate_and_says_what_it_does(tmp_path):
    inside, outside = twins_of(800, apart=0.2)
    record = record_of(fit_confidences(inside, Identity(), outside), "models")
    write_record(record, tmp_path / "map.json")
    assert read_record(tmp_path / "map.json") == record
    assert record.changes
    assert "and a gate" in in_words(record)
    assert f"{record.gate.untagged:.0%} get none" in in_words(record)
    plain = record_of(fit_confidences(inside, Identity()), "models")
    assert "gate" not in in_words(plain)


def test_figures_count_notes_without_candidates():
    sample = sample_of(Identity(), 10)
    q = np.full(len(sample.right), 0.6)
    assert figures_of(q, sample.right, sample.note, 20).coverage == 0.5
