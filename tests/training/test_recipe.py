import pytest

from streamproc.training.recipe import Recipe


def test_the_learning_rate_rises_over_a_tenth_of_the_run_and_falls_to_nothing():
    recipe = Recipe(epochs=2, learning_rate=1.0)
    rates = [recipe.learning_rate_after(done / 10) for done in range(21)]
    assert 0 < rates[0] < 0.2
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) == 2
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] == 0
