import numpy as np
import pytest

from streamproc.calibration.figures import emitted_error, figures_of, noise_floor

RANDOM = np.random.default_rng(0)
P = RANDOM.uniform(0.5, 1, 30_000)


def test_confidences_that_are_right_show_no_more_than_the_noise_floor():
    errors = [emitted_error(P[:600], (RANDOM.random(600) < P[:600]).astype(float)) for _ in range(50)]
    assert np.mean(errors) == pytest.approx(noise_floor(P[:600]), rel=0.1)


def test_confidences_that_are_too_high_by_a_tenth_show_it():
    right = (RANDOM.random(len(P)) < P - 0.1).astype(float)
    assert emitted_error(P, right) == pytest.approx(0.1, abs=0.01)


def test_only_tags_from_a_half_on_are_emitted():
    found = figures_of([0.5, 0.49, 0.9], [True, True, False], np.array([0, 0, 1]), 4)
    assert (found.tags_a_note, found.right, found.confidence) == pytest.approx((0.5, 0.5, 0.7))
    assert found.coverage == 0.5


def test_nothing_emitted_is_no_error():
    found = figures_of([0.1], [False], np.array([0]), 1)
    assert (found.error, found.floor, found.tags_a_note) == (0, 0, 0)
