import numpy as np
import pytest

from streamproc.evaluation.competitor import fit_temperature, tempered
from streamproc.evaluation.scoring import Scored, sigmoid

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(temperature):
    logits = RANDOM.normal(0, 3, 20_000)
    right = RANDOM.random(20_000) < 1 / (1 + np.exp(-logits / temperature))
    assert fit_temperature(logits, right) == pytest.approx(temperature, rel=0.1)


def test_labels_that_contradict_the_logits_give_a_bounded_temperature():
    assert fit_temperature([1.0, 2.0], [False, False]) == pytest.approx(50, rel=0.01)
    assert fit_temperature([1.0, -2.0], [True, False]) == pytest.approx(0.02, rel=0.01)
    assert 0.02 <= fit_temperature([], []) <= 50


def test_each_half_is_scaled_by_the_other_s_temperature(scored):
    # Even notes are far too sure, odd ones are right as they are: their temperatures change places.
    logits = [
        np.full(len(each), 4.0 if place % 2 else 1.0, dtype=np.float32)
        for place, each in enumerate(scored.logits)
    ]
    one = Scored(scored.notes, scored.recalled, logits, scored.confidences)
    scaled = tempered(one)
    right = np.split(one.right, np.cumsum([len(each) for each in logits])[:-1])
    of_odd = fit_temperature(np.concatenate(logits[1::2]), np.concatenate(right[1::2]))
    np.testing.assert_allclose(scaled.confidences[0], sigmoid(logits[0] / np.float32(of_odd)), atol=1e-6)


def test_scaling_changes_no_order(scored):
    for before, after in zip(scored.logits, tempered(scored).confidences, strict=True):
        assert (np.diff(after[np.argsort(before)]) >= 0).all()
