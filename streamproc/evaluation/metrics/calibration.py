"""Confidences against the truth: reliability, the calibration error with its interval and noise floor, the Brier score."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamproc.calibration.error import (
    BINS,
    bin_starts,
    expected_calibration_error,
    in_order,
    noise_errors,
)
from streamproc.evaluation.metrics.bootstrap import Interval

__all__ = [
    "BINS",
    "Bin",
    "brier",
    "brier_skill",
    "calibration_interval",
    "calibration_noise",
    "expected_calibration_error",
    "reliability",
]

_DRAWS = 1_000


@dataclass(frozen=True, slots=True)
class Bin:
    """Tags of about the same confidence.

    Attributes:
        tags: how many.
        confidence: their mean confidence.
        right: the share of them that is right.
    """

    tags: int
    confidence: float
    right: float


def reliability(confidences: npt.ArrayLike, right: npt.ArrayLike, bins: int = BINS) -> tuple[Bin, ...]:
    """Bins of equal mass in order of confidence; fewer where there are fewer tags.

    Args:
        confidences: float[tags], within [0, 1].
        right: bool[tags].
        bins: number of bins.
    """
    p, y = in_order(confidences, right)
    starts = bin_starts(len(p), bins)
    return tuple(
        Bin(len(of_p), float(of_p.mean()), float(of_y.mean()))
        for of_p, of_y in zip(np.split(p, starts[1:]), np.split(y, starts[1:]), strict=True)
        if len(of_p)
    )


def calibration_interval(
    confidences: npt.ArrayLike,
    right: npt.ArrayLike,
    notes: npt.ArrayLike,
    *,
    draws: int = _DRAWS,
    seed: int = 0,
) -> Interval:
    """The calibration error with its 95 % bootstrap interval; whole notes are drawn, for their tags go together.

    The interval is centred: the mean by which resampling raises every calibration error is taken off.

    Args:
        confidences: float[tags], within [0, 1].
        right: bool[tags].
        notes: int[tags], the note of each; a note's tags stand together.
        draws: resamplings.
        seed: of the resampling.
    """
    p, y, of = np.asarray(confidences, dtype=float), np.asarray(right, dtype=float), np.asarray(notes)
    if not p.size:
        return Interval(0.0, 0.0, 0.0)
    starts = np.flatnonzero(np.r_[True, of[1:] != of[:-1]])
    sizes = np.diff(np.r_[starts, len(of)])
    random = np.random.default_rng(seed)
    errors = np.empty(draws)
    for draw in range(draws):
        drawn = random.integers(0, len(starts), len(starts))
        lengths = sizes[drawn]
        before = np.cumsum(lengths) - lengths
        rows = np.repeat(starts[drawn] - before, lengths) + np.arange(lengths.sum())
        errors[draw] = expected_calibration_error(p[rows], y[rows])
    error = expected_calibration_error(p, y)
    # Drawing anew adds noise to every bin, which an absolute distance turns into a larger error: taken out again.
    low, high = np.percentile(errors, [2.5, 97.5]) - (errors.mean() - error)
    return Interval(error, max(float(low), 0.0), float(high))


def calibration_noise(confidences: npt.ArrayLike, *, draws: int = _DRAWS, seed: int = 0) -> Interval:
    """What a perfectly calibrated model with these confidences would show: y ~ Bernoulli(p).

    Gives the mean of its calibration errors and the range of the middle 95 %.

    Args:
        confidences: float[tags], within [0, 1].
        draws: resamplings.
        seed: of the resampling.
    """
    errors = noise_errors(confidences, draws=draws, seed=seed)
    low, high = np.percentile(errors, [2.5, 97.5])
    return Interval(float(errors.mean()), float(low), float(high))


def brier(confidences: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """Mean squared distance between confidence and truth."""
    p, y = np.asarray(confidences, dtype=float), np.asarray(right, dtype=float)
    return float(np.square(p - y).mean()) if p.size else 0.0


def brier_skill(confidences: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """How much of the Brier score of always saying the base rate is saved: 1 - Brier / (rate × (1 - rate)).

    The base rate is that of these very tags, the hardest constant to beat. 0 where all or none are right.
    """
    rate = float(np.asarray(right, dtype=float).mean()) if np.size(right) else 0.0
    constant = rate * (1 - rate)
    return 1 - brier(confidences, right) / constant if constant else 0.0
