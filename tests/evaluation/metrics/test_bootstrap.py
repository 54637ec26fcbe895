import numpy as np
import pytest

from streamproc.evaluation.metrics import paired_bootstrap


def test_the_bootstrap_holds_the_mean_difference_and_is_reproducible():
    random = np.random.default_rng(1)
    second = random.random(200)
    interval = paired_bootstrap(second + 0.1, second, draws=500)
    assert interval.low == pytest.approx(0.1)
    assert interval.high == pytest.approx(0.1)
    noisy = second + random.normal(0.1, 0.5, 200)
    assert paired_bootstrap(noisy, second, draws=500) == paired_bootstrap(noisy, second, draws=500)
