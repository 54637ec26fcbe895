from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.calibration.precision import GRID, fit_threshold, lower_bound, tail


def world(notes, seed, *, shared=0.0, tags=4):
    """Confidences that are right; with ``shared`` the tags of a note tend to be right or wrong together."""
    random = np.random.default_rng(seed)
    confidence = random.beta(4, 1, notes * tags)
    note = np.repeat(np.arange(notes), tags)
    draw = random.random(notes * tags)
    alike = random.random(notes * tags) < shared
    draw[alike] = random.random(notes)[note[alike]]
    return confidence, draw < confidence, note


def precision_beyond(threshold):
    """Of infinitely many tags of such a world."""
    confidence = np.random.default_rng(999).beta(4, 1, 400_000)
    return confidence[confidence >= threshold].mean()


@given(st.integers(1, 40), st.data())
def test_the_tail_is_exact(n, data):
    k = data.draw(st.integers(0, n))
    p = Fraction(data.draw(st.integers(1, 99)), 100)
    exact = sum(comb(n, x) * p**x * (1 - p) ** (n - x) for x in range(k, n + 1))
    assert tail(k, n, float(p)) == pytest.approx(float(exact), rel=1e-9)


def test_the_bound_is_where_the_tail_is_five_percent():
    assert lower_bound(59, 59) == pytest.approx(0.05 ** (1 / 59))  # all right: p^n = .05
    assert tail(90, 100, lower_bound(90, 100)) == pytest.approx(0.05)
    assert lower_bound(0, 10) == 0


@pytest.mark.parametrize(("shared", "notes"), [(0.0, 400), (0.0, 1200), (0.6, 800)])
def test_what_is_promised_is_broken_no_more_often_than_the_bound_allows(shared, notes):
    target, runs = 0.9, 200
    broken = found = 0
    for seed in range(runs):
        fitted = fit_threshold(*world(notes, seed, shared=shared), target)
        if fitted.threshold is not None:
            found += 1
            broken += precision_beyond(fitted.threshold) < target
    assert found > runs * 0.5
    assert broken <= runs * 0.05 + 2.3 * np.sqrt(runs * 0.05 * 0.95)  # 1 % of honest bounds would exceed it


def test_more_labels_buy_a_lower_threshold():
    few, many = (fit_threshold(*world(notes, 1), 0.9).threshold for notes in (300, 20_000))
    assert many <= few
    assert precision_beyond(many) == pytest.approx(0.9, abs=0.01)


def test_tags_of_one_note_that_stand_or_fall_together_count_as_fewer():
    confidence, right, _ = world(500, 3)
    apart = fit_threshold(confidence, right, np.arange(len(right)), 0.85)
    together = fit_threshold(
        np.repeat(confidence, 3), np.repeat(right, 3), np.repeat(np.arange(len(right)), 3), 0.85
    )
    assert together.threshold == pytest.approx(
        apart.threshold, abs=0.011
    )  # and not lower for three times the tags
    alone = fit_threshold(np.repeat(confidence, 3), np.repeat(right, 3), np.arange(3 * len(right)), 0.85)
    assert alone.threshold < together.threshold


def test_a_handful_of_tags_gets_no_threshold_however_right_they_are():
    fitted = fit_threshold(np.full(117, 0.995), np.ones(117, dtype=bool), np.arange(117), 0.95)
    assert fitted.threshold is None
    assert fitted.too_few
    enough = fit_threshold(np.full(118, 0.995), np.ones(118, dtype=bool), np.arange(118), 0.95)
    assert enough.threshold == GRID[-1]


def test_a_target_out_of_reach_gets_no_threshold_and_not_for_want_of_labels():
    random = np.random.default_rng(0)
    fitted = fit_threshold(random.random(5000), random.random(5000) < 0.5, np.arange(5000), 0.95)
    assert fitted.threshold is None
    assert not fitted.too_few
    assert fitted.right == pytest.approx(0.5, abs=0.15)


def test_nothing_at_all_gets_no_threshold():
    nothing = np.zeros(0)
    assert fit_threshold(nothing, nothing.astype(bool), nothing.astype(np.int64), 0.95).too_few
