import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.calibration.forms import (
    FORMS,
    bend,
    fit_adapted,
    fit_bends,
    fit_beta,
    fit_temperature,
    logit_of,
    starting_beta,
)
from streamproc.graph.evidence import FEATURES
from streamproc.inference.calibration import Adapted, Beta, Evidence, Identity, Temperature, Term, apply_map
from tests.calibration.worlds import sample_of

HONEST = Beta(1.0, 1.0, 0.0)


def judged(calibration, size=20_000, seed=0):
    """Probabilities and labels drawn so that the map is the truth."""
    random = np.random.default_rng(seed)
    p = random.beta(0.7, 1.5, size)
    return p, random.random(size) < apply_map(calibration, p)


def log_loss(calibration, p, labels):
    q = apply_map(calibration, p)
    return -np.mean(np.where(labels, np.log(q), np.log1p(-q)))


def test_the_temperature_that_made_the_labels_is_found():
    assert fit_temperature(*judged(Temperature(1.7))).temperature == pytest.approx(1.7, rel=0.05)


def test_the_beta_map_that_made_the_labels_is_found():
    fitted = fit_beta(*judged(Beta(0.6, 1.4, -0.5)))
    assert (fitted.a, fitted.b, fitted.c) == pytest.approx((0.6, 1.4, -0.5), abs=0.1)


def test_calibration_lowers_the_loss_on_unseen_labels():
    truth = Beta(0.4, 0.9, 0.8)
    fitted = fit_beta(*judged(truth, seed=1))
    p, labels = judged(truth, seed=2)
    assert log_loss(fitted, p, labels) < log_loss(Identity(), p, labels)


def test_contrary_labels_still_give_an_increasing_map():
    p = np.linspace(0.01, 0.99, 500)
    fitted = fit_beta(p, p < 0.5)
    assert fitted.a > 0
    assert fitted.b > 0
    assert fit_temperature(p, p < 0.5).temperature > 0


def test_a_single_label_moves_the_map_little():
    assert abs(apply_map(fit_beta([0.7], [True]), 0.7) - 0.7) < 0.15


def test_fits_begin_at_the_map_in_force():
    in_force = Beta(0.5, 1.5, -1.0)
    fitted = fit_beta([0.7], [True], in_force)
    assert abs(apply_map(fitted, 0.7) - apply_map(in_force, 0.7)) < 0.15
    assert starting_beta(in_force) == in_force
    assert apply_map(starting_beta(Temperature(2.0)), 0.9) == pytest.approx(apply_map(Temperature(2.0), 0.9))


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_any_labels_give_a_usable_map(rows):
    p, labels = zip(*rows, strict=True)
    for fitted in (fit_beta(p, labels), fit_temperature(p, labels)):
        calibrated = apply_map(fitted, np.linspace(0, 1, 101))
        assert (np.diff(calibrated) >= 0).all()


def test_mismatched_labels_are_refused():
    with pytest.raises(ValueError, match="one label a probability"):
        fit_beta([0.1, 0.2], [True])


@pytest.mark.parametrize("curved", [False, True])
def test_what_the_evidence_adds_is_found(curved):
    truth = Adapted(1.2, 0.8, -1.0, (Term("vote_10", (0.0, 1.2), (0.0, 6.0)),))
    sample = sample_of(truth, 2000)
    fitted = fit_adapted(
        sample.probability.astype(float), sample.evidence, sample.right, HONEST, curved=curved
    )
    assert {term.column for term in fitted.terms} == {"cosine", "vote_10"}  # the others never vary
    other = sample_of(truth, 500, seed=1)
    evidence = Evidence(FEATURES, other.evidence)
    gap = apply_map(fitted, other.probability, evidence) - apply_map(truth, other.probability, evidence)
    assert np.abs(gap).mean() < 0.015


def test_curved_terms_follow_what_straight_ones_cannot():
    truth = Adapted(1.0, 1.0, -1.0, (Term("cosine", (0.0, 0.7, 1.0), (0.0, 0.0, 3.0)),))
    sample = sample_of(truth, 2000)
    other = sample_of(truth, 500, seed=1)
    gaps = []
    for curved in (False, True):
        fitted = fit_adapted(
            sample.probability.astype(float), sample.evidence, sample.right, HONEST, curved=curved
        )
        evidence = Evidence(FEATURES, other.evidence)
        gaps.append(
            np.abs(
                apply_map(fitted, other.probability, evidence) - apply_map(truth, other.probability, evidence)
            ).mean()
        )
    assert gaps[1] < gaps[0] / 2


def test_bends_put_right_what_a_beta_map_cannot():
    random = np.random.default_rng(0)
    logits = random.normal(-1, 2, 40_000)
    truth = np.where(logits > 0, logits * 0.3, logits)
    right = random.random(len(logits)) < 1 / (1 + np.exp(-truth))
    bends = fit_bends(logits, right)
    assert np.abs(bends.apply(logits) - truth).mean() < 0.12


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_every_form_rises_in_the_probability_whatever_the_labels(seed, contrary):
    random = np.random.default_rng(seed)
    sample = sample_of(Identity(), 12, seed)
    right = sample.probability < 0.3 if contrary else random.random(len(sample.right)) < 0.2
    p = np.linspace(1e-4, 1 - 1e-4, 400)
    evidence = np.repeat(sample.evidence[:1], len(p), axis=0)
    for form in FORMS:
        fitted = form.fit(sample.probability.astype(float), sample.evidence, right, HONEST)
        if form.bent:
            logits = logit_of(fitted, sample.probability.astype(float), sample.evidence)
            fitted = bend(fitted, fit_bends(logits, right))
        calibrated = apply_map(fitted, p, Evidence(FEATURES, evidence))
        inside = (calibrated[1:] < 1 - 1e-9) & (calibrated[:-1] > 1e-9)
        assert (np.diff(calibrated)[inside] > 0).all(), form.name
