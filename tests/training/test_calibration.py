import numpy as np
import pytest

from streamproc.evaluation.metrics import expected_calibration_error
from streamproc.inference.calibration import apply_map
from streamproc.training.calibration import fit_beta

RANDOM = np.random.default_rng(0)
TRUE = RANDOM.beta(1, 3, 20_000)
RIGHT = RANDOM.random(20_000) < TRUE


def test_confidences_that_are_right_stay_as_they_are():
    fitted = fit_beta(TRUE, RIGHT)
    assert (fitted.a, fitted.b, fitted.c) == pytest.approx((1, 1, 0), abs=0.1)


@pytest.mark.parametrize("power", [0.4, 2.5])
def test_distorted_confidences_are_put_right(power):
    distorted = TRUE**power
    calibrated = apply_map(fit_beta(distorted, RIGHT), distorted)
    assert expected_calibration_error(calibrated, RIGHT) < 0.02 < expected_calibration_error(distorted, RIGHT)


def test_the_map_rises_even_when_the_labels_fall():
    fitted = fit_beta(TRUE, RANDOM.random(len(TRUE)) > TRUE)
    mapped = apply_map(fitted, np.linspace(0.01, 0.99, 50))
    assert (np.diff(mapped) > 0).all()
