import numpy as np
import pytest

from streamproc.calibration.error import expected_calibration_error, noise_errors

RANDOM = np.random.default_rng(0)
P = RANDOM.uniform(0.5, 1, 30_000)


def test_confidences_that_are_right_show_no_more_than_the_noise_floor():
    errors = [expected_calibration_error(P[:600], RANDOM.random(600) < P[:600]) for _ in range(50)]
    assert np.mean(errors) == pytest.approx(noise_errors(P[:600], draws=1000).mean(), rel=0.1)


def test_confidences_that_are_too_high_by_a_tenth_show_it():
    assert expected_calibration_error(P, RANDOM.random(len(P)) < P - 0.1) == pytest.approx(0.1, abs=0.01)
