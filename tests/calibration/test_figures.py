import numpy as np
import pytest

from streamproc.calibration.figures import figures_of
from streamproc.evaluation.metrics import calibration_noise, expected_calibration_error


def test_only_tags_from_a_half_on_are_emitted():
    found = figures_of([0.5, 0.49, 0.9], [True, True, False], np.array([0, 0, 1]), 4)
    assert (found.tags_a_note, found.right, found.confidence) == pytest.approx((0.5, 0.5, 0.7))
    assert found.coverage == 0.5


def test_nothing_emitted_is_no_error():
    found = figures_of([0.1], [False], np.array([0]), 1)
    assert (found.error, found.floor, found.tags_a_note) == (0, 0, 0)


def test_error_and_floor_are_those_that_eval_reports():
    random = np.random.default_rng(0)
    p = random.uniform(0.5, 1, 200)
    right = random.random(200) < p
    found = figures_of(p, right, np.arange(200), 200)
    assert found.error == expected_calibration_error(p, right)
    assert found.floor == calibration_noise(p).mean
