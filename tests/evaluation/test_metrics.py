import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.evaluation.metrics import (
    accuracy_at,
    brier,
    coverage_at,
    expected_calibration_error,
    hit_rate,
    ndcg_at,
    paired_bootstrap,
    precision_at,
    right_candidates,
)

GOLD = [{"a", "b"}, {"c"}]


def test_right_candidates_and_hit_rate():
    right = right_candidates([["a", "b", "x"], ["x"]], GOLD)
    assert right.tolist() == [2, 0]
    assert (hit_rate(right, 1), hit_rate(right, 3)) == (0.5, 0)


def test_precision_divides_by_k_even_when_fewer_were_given():
    assert precision_at([["a"], ["c", "x"]], GOLD, 2).tolist() == [0.5, 0.5]


def test_ndcg_is_one_for_the_ideal_order_and_falls_with_the_place():
    assert ndcg_at([["a", "b"], ["c"]], GOLD, 5).tolist() == pytest.approx([1, 1])
    later = ndcg_at([["x", "a", "b"], ["x", "x", "c"]], GOLD, 5)
    assert later.tolist() == pytest.approx([(1 / np.log2(3) + 0.5) / (1 + 1 / np.log2(3)), 0.5])


def test_accuracy_counts_what_was_emitted_and_leaves_out_silent_notes():
    emitted = [["a"], []]
    assert accuracy_at(emitted, GOLD, 3).tolist() == [1]
    assert (coverage_at(emitted, 1), coverage_at(emitted, 2)) == (0.5, 0)


def test_confidences_that_come_true_have_no_calibration_error():
    assert expected_calibration_error([0.5, 0.5, 1.0], [1, 0, 1]) == pytest.approx(0)
    assert expected_calibration_error([0.9, 0.9], [1, 0]) == pytest.approx(0.4)
    assert brier([1.0, 0.5], [1, 0]) == pytest.approx(0.125)
    assert (expected_calibration_error([], []), brier([], [])) == (0, 0)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_the_calibration_error_lies_between_no_and_full_error(pairs):
    confidences, right = zip(*pairs, strict=True)
    assert 0 <= expected_calibration_error(confidences, right) <= 1 + 1e-9


def test_the_bootstrap_holds_the_mean_difference_and_is_reproducible():
    random = np.random.default_rng(1)
    second = random.random(200)
    interval = paired_bootstrap(second + 0.1, second, draws=500)
    assert interval.low == pytest.approx(0.1)
    assert interval.high == pytest.approx(0.1)
    noisy = second + random.normal(0.1, 0.5, 200)
    assert paired_bootstrap(noisy, second, draws=500) == paired_bootstrap(noisy, second, draws=500)
