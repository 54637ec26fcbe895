"""Whether a confidence of .9 means nine in ten: the expected calibration error, and what chance alone makes of it."""

import numpy as np
import numpy.typing as npt

__all__ = ["BINS", "bin_starts", "expected_calibration_error", "in_order", "noise_errors"]

Float64 = npt.NDArray[np.float64]

BINS = 15
"""Of equal mass, over which the calibration error is taken."""


def expected_calibration_error(confidences: npt.ArrayLike, right: npt.ArrayLike, bins: int = BINS) -> float:
    """ECE over bins of equal mass: mean distance between confidence and share of right, by size of bin.

    Args:
        confidences: float[tags], within [0, 1].
        right: bool[tags].
        bins: number of bins.
    """
    p, y = in_order(confidences, right)
    return float(_error(p - y, bin_starts(len(p), bins))) if p.size else 0.0


def noise_errors(confidences: npt.ArrayLike, *, draws: int, seed: int = 0) -> Float64:
    """Calibration errors that these confidences would show were they exactly right: y ~ Bernoulli(p), drawn anew each time.

    Args:
        confidences: float[tags], within [0, 1].
        draws: how often the truth is drawn.
        seed: of the drawing.

    Returns:
        float64[draws].
    """
    p = np.sort(np.asarray(confidences, dtype=float))
    if not p.size:
        return np.zeros(draws)
    starts = bin_starts(len(p), BINS)
    random = np.random.default_rng(seed)
    return np.array([_error(p - (random.random(len(p)) < p), starts) for _ in range(draws)])


def in_order(confidences: npt.ArrayLike, right: npt.ArrayLike) -> tuple[Float64, Float64]:
    """Both in order of confidence, ties as they stood."""
    p, y = np.asarray(confidences, dtype=float), np.asarray(right, dtype=float)
    order = np.argsort(p, kind="stable")
    return p[order], y[order]


def bin_starts(count: int, bins: int) -> npt.NDArray[np.int64]:
    """Where each bin of equal mass begins, int64[bins]; there is no empty bin."""
    used = max(min(count, bins), 1)
    return (np.arange(used) * count) // used


def _error(excess: Float64, starts: npt.NDArray[np.int64]) -> Float64:
    """ECE of tags in order of confidence from ``confidence - right`` of each."""
    error: Float64 = np.abs(np.add.reduceat(excess, starts)).sum() / len(excess)
    return error
