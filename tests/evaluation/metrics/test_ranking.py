import numpy as np
import pytest

from streamproc.evaluation.metrics import f1_at, hit_rate, ndcg_at, precision_at, right_candidates

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


def test_f1_is_the_harmonic_mean_of_precision_and_recall_at_k():
    # P@2 = 1/2 and R@2 = 1/2; P@2 = 1/2 and R@2 = 1.
    assert f1_at([["a", "x"], ["x", "c"]], GOLD, 2).tolist() == pytest.approx([1 / 2, 2 / 3])
