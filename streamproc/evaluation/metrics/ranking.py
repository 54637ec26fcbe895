"""How many right tags are among the candidates, and how far in front they stand."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np
import numpy.typing as npt

__all__ = ["f1_at", "hit_rate", "ndcg_at", "precision_at", "right_candidates"]

Float64 = npt.NDArray[np.float64]


def right_candidates(candidates: Sequence[Sequence[str]], gold: Sequence[AbstractSet[str]]) -> Float64:
    """Right tags among each note's candidates, float64[notes]; their mean is #Right."""
    return np.array([sum(tag in g for tag in c) for c, g in zip(candidates, gold, strict=True)], dtype=float)


def hit_rate(right: Float64, least: int) -> float:
    """HR#k: share of notes with at least ``least`` right candidates."""
    return float((right >= least).mean())


def precision_at(ranked: Sequence[Sequence[str]], gold: Sequence[AbstractSet[str]], k: int) -> Float64:
    """P@k a note, float64[notes]: right tags among the first k, over k, whether or not k were given."""
    return right_candidates([tags[:k] for tags in ranked], gold) / k


def f1_at(ranked: Sequence[Sequence[str]], gold: Sequence[AbstractSet[str]], k: int) -> Float64:
    """F1@k a note, float64[notes]: the harmonic mean of P@k and of the share of its right tags among the first k."""
    right = right_candidates([tags[:k] for tags in ranked], gold)
    scores: Float64 = 2 * right / (k + np.array([len(g) for g in gold], dtype=float))
    return scores


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
