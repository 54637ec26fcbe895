"""How far a figure would move on other notes like these."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Interval", "paired_bootstrap"]

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % interval."""

    mean: float
    low: float
    high: float


def paired_bootstrap(first: Float64, second: Float64, *, draws: int = 10_000, seed: int = 0) -> Interval:
    """How much the first exceeds the second on the same notes.

    Args:
        first: float64[notes].
        second: float64[notes].
        draws: resamplings of the notes.
        seed: of the resampling.
    """
    difference = first - second
    random = np.random.default_rng(seed)
    means = np.array(
        [difference[random.integers(0, len(difference), len(difference))].mean() for _ in range(draws)]
    )
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(difference.mean()), float(low), float(high))
