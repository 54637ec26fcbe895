import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.evaluation.metrics import (
    brier,
    brier_skill,
    calibration_interval,
    calibration_noise,
    expected_calibration_error,
    reliability,
)

RANDOM = np.random.default_rng(0)
TRUE = RANDOM.uniform(0.5, 1, 3_000)
RIGHT = RANDOM.random(3_000) < TRUE


def test_confidences_that_come_true_have_no_calibration_error():
    assert expected_calibration_error([0.5, 0.5, 1.0], [1, 0, 1], bins=2) == pytest.approx(1 / 3)
    assert expected_calibration_error([0.5] * 30, [1, 0] * 15, bins=15) == pytest.approx(0)
    assert expected_calibration_error([0.9, 0.9], [1, 0], bins=1) == pytest.approx(0.4)
    assert (expected_calibration_error([], []), brier([], [])) == (0, 0)


def test_bins_hold_equally_many_tags_in_order_of_confidence():
    bins = reliability(TRUE, RIGHT)
    assert [each.tags for each in bins] == [200] * 15
    assert [each.confidence for each in bins] == sorted(each.confidence for each in bins)
    assert sum(each.tags * each.right for each in bins) == pytest.approx(RIGHT.sum())
    assert [each.tags for each in reliability([0.6, 0.7], [1, 0])] == [1, 1]
    assert reliability([], []) == ()


def test_the_error_is_the_mean_gap_of_the_bins():
    bins = reliability(TRUE, RIGHT)
    gap = sum(each.tags * abs(each.confidence - each.right) for each in bins) / len(TRUE)
    assert expected_calibration_error(TRUE, RIGHT) == pytest.approx(gap)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_the_calibration_error_lies_between_no_and_full_error(pairs):
    confidences, right = zip(*pairs, strict=True)
    assert 0 <= expected_calibration_error(confidences, right) <= 1 + 1e-9


def test_a_calibrated_model_shows_an_error_within_the_noise_and_an_overconfident_one_above():
    noise = calibration_noise(TRUE)
    assert noise.low < expected_calibration_error(TRUE, RIGHT) < noise.high
    assert expected_calibration_error(np.sqrt(TRUE), RIGHT) > noise.high


def test_the_noise_falls_with_more_tags():
    assert calibration_noise(TRUE).mean < calibration_noise(TRUE[:300]).mean / 2
    assert calibration_noise([]).mean == 0


def test_the_interval_is_about_the_error_and_wider_when_a_note_s_tags_go_together():
    notes = np.arange(3_000)
    alone = calibration_interval(np.sqrt(TRUE), RIGHT, notes)
    assert alone.low < alone.mean == expected_calibration_error(np.sqrt(TRUE), RIGHT) < alone.high
    assert alone == calibration_interval(np.sqrt(TRUE), RIGHT, notes)
    # The same tags, sorted so that a note's tags are all right or all wrong.
    order = np.argsort(RIGHT, kind="stable")
    together = calibration_interval(np.sqrt(TRUE)[order], RIGHT[order], notes // 30)
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert calibration_interval([], [], []).high == 0


def test_the_interval_holds_the_error_even_of_a_calibrated_model():
    interval = calibration_interval(TRUE, RIGHT, np.arange(3_000))
    assert 0 <= interval.low < interval.mean < interval.high


def test_skill_is_what_is_saved_of_always_saying_the_base_rate():
    right = [1, 0, 0, 0]
    assert brier([1.0, 0.5], [1, 0]) == pytest.approx(0.125)
    assert brier_skill([0.25] * 4, right) == pytest.approx(0)
    assert brier_skill(right, right) == 1
    assert brier_skill([0, 1, 1, 1], right) < 0
    assert brier_skill([0.3], [1]) == 0
