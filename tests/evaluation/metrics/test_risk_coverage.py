import numpy as np
import pytest

from streamproc.evaluation.metrics import area_under_risk_coverage, risk_coverage

RIGHT = [1, 1, 0, 0]


def test_risk_grows_as_less_sure_tags_are_accepted():
    points = risk_coverage([0.9, 0.8, 0.7, 0.6], RIGHT)
    assert [p.coverage for p in points] == [0.25, 0.5, 0.75, 1]
    assert [p.risk for p in points] == pytest.approx([0, 0, 1 / 3, 0.5])
    assert [p.threshold for p in points] == [0.9, 0.8, 0.7, 0.6]


def test_the_area_rewards_an_order_that_puts_what_is_right_first():
    best = area_under_risk_coverage([4, 3, 2, 1], RIGHT)
    assert best == pytest.approx((1 / 3 + 1 / 2) / 4)
    assert best < area_under_risk_coverage([1, 2, 3, 4], RIGHT)


def test_ties_count_as_their_mean_whatever_their_order():
    assert area_under_risk_coverage([0.5] * 4, RIGHT) == pytest.approx(0.5)
    assert area_under_risk_coverage([0.5] * 4, RIGHT[::-1]) == pytest.approx(0.5)


def test_the_curve_is_thinned_and_keeps_its_end():
    points = risk_coverage(np.arange(1000) / 1000, [1, 0] * 500, points=20)
    assert len(points) == 21
    assert (points[-1].coverage, points[-1].risk) == (1, 0.5)


def test_the_point_of_the_threshold_is_kept():
    points = risk_coverage(np.arange(1000) / 1000, [1, 0] * 500, threshold=0.777, points=20)
    assert 0.777 in [point.threshold for point in points]
    assert len(risk_coverage([0.1, 0.2], [1, 0], threshold=0.5)) == 2


def test_nothing_to_accept_is_no_error():
    assert risk_coverage([], []) == ()
    assert area_under_risk_coverage([], []) == 0
