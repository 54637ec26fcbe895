import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.inference.calibration import Beta, Identity, Temperature, apply_map
from streamproc.training.calibration_fit import fit_beta, fit_temperature


def judged(calibration, size=20_000, seed=0):
    """Probabilities and labels drawn so that the map is the truth."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.7, 1.5, size)
    return p, rng.random(size) < apply_map(calibration, p)


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
