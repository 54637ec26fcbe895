"""Metrics of recall, ranking and confidence, as the papers define them.

Every function takes one entry a note and gives one number a note where that makes sense, so that two
methods can be compared pairwise on the same notes.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "Interval",
    "accuracy_at",
    "brier",
    "coverage_at",
    "expected_calibration_error",
    "hit_rate",
    "ndcg_at",
    "paired_bootstrap",
    "precision_at",
    "right_candidates",
]

Float64 = npt.NDArray[np.float64]


def right_candidates(candidates: Sequence[Sequence[str]], gold: Sequence[AbstractSet[str]]) -> Float64:
    """Right tags among each note's candidates, float64[notes]; their mean is #Right."""
    return np.array([sum(tag in g for tag in c) for c, g in zip(candidates, gold, strict=True)], dtype=float)


def hit_rate(right: Float64, least: int) -> float:
    """HR#k: share of notes with at least ``least`` right candidates."""
    return float((right >= least).mean())


def precision_at(ranked: Sequence[Sequence[str]], gold: Sequence[AbstractSet[str]], k: int) -> Float64:
    """P@k a note, float64[notes]: right tags among the first k, over k, whether or not k were given."""
    return np.array(
        [sum(tag in g for tag in tags[:k]) / k for tags, g in zip(ranked, gold, strict=True)], dtype=float
    )


def ndcg_at(ranked: Sequence[Sequence[str]], gold: Sequence[AbstractSet[str]], k: int) -> Float64:
    """nDCG@k a note, float64[notes], with binary relevance and the ideal over all gold tags."""
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)
    return np.array(
        [
            sum(discounts[place] for place, tag in enumerate(tags[:k]) if tag in g)
            / ideal[min(len(g), k) - 1]
            for tags, g in zip(ranked, gold, strict=True)
        ],
        dtype=float,
    )


def accuracy_at(emitted: Sequence[Sequence[str]], gold: Sequence[AbstractSet[str]], k: int) -> Float64:
    """Acc@k a note (LLM4Tag, eq. 12): right tags among the first k' = min(k, emitted), over k'.

    Notes for which nothing was emitted are left out, so the result may be shorter: print Coverage beside it.
    """
    return np.array(
        [
            sum(tag in g for tag in tags[:k]) / min(k, len(tags))
            for tags, g in zip(emitted, gold, strict=True)
            if tags
        ],
        dtype=float,
    )


def coverage_at(emitted: Sequence[Sequence[str]], k: int) -> float:
    """Coverage@k (LLM4Tag, eq. 13): share of notes with at least k emitted tags."""
    return float(np.mean([len(tags) >= k for tags in emitted]))


def expected_calibration_error(confidences: npt.ArrayLike, right: npt.ArrayLike, bins: int = 15) -> float:
    """ECE over bins of equal width: mean distance between confidence and share of right, by size of bin.

    Args:
        confidences: float[tags], within [0, 1].
        right: bool[tags].
        bins: number of bins.
    """
    p, y = np.asarray(confidences, dtype=float), np.asarray(right, dtype=float)
    if not p.size:
        return 0.0
    which = np.minimum((p * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(which, p - y, minlength=bins)).sum() / p.size)


def brier(confidences: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """Mean squared distance between confidence and truth."""
    p, y = np.asarray(confidences, dtype=float), np.asarray(right, dtype=float)
    return float(np.square(p - y).mean()) if p.size else 0.0


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean difference and its 95 % bootstrap interval."""

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
