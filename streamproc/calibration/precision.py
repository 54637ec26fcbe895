"""Thresholds that keep a promised precision: learn-then-test with exact binomial bounds.

"Emit at 95 % precision" is read as: the one-sided 95 % lower confidence bound on the precision of what is emitted
reaches 95 %. Thresholds on a fixed grid are tested from the highest down (fixed-sequence testing, Angelopoulos et
al. 2021, "Learn then Test"); the first that fails ends the walk, so all tests together err with the 5 % of one.
A test asks whether so many right tags would be that unlikely at a precision below the target: the exact
(Clopper–Pearson) tail of a binomial.

Written out rather than taken from a library: MAPIE 1.6 needs scikit-learn and scipy where tags are served, and its
Hoeffding–Bentkus bounds, made for any bounded loss, are e times as wide as the exact tail of right and wrong;
crepes makes prediction sets and intervals, not thresholds; both take tags for independent, while those of one
note stand or fall together. Here they count as fewer: as many as independent ones would vary alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log

import numpy as np
import numpy.typing as npt

__all__ = ["CONFIDENCE", "KindThreshold", "fit_threshold", "lower_bound", "tail"]

Float64 = npt.NDArray[np.float64]

CONFIDENCE = 0.95
"""Of the lower bound."""

GRID: Sequence[float] = tuple(np.round(np.arange(0.99, 0.005, -0.01), 2).tolist())
"""Thresholds that are tested, fixed before any label is seen."""

_BISECTIONS = 40


@dataclass(frozen=True, slots=True)
class KindThreshold:
    """What came of the walk for tags of one kind.

    Attributes:
        threshold: the lowest that keeps the promise; None: none does.
        emitted: tags of the sample from it on; from the highest testable threshold on where there is none.
        right: share of them that are right.
        bound: lower confidence bound on that share.
        needed: emitted tags below which no threshold can be tested.
    """

    threshold: float | None
    emitted: int
    right: float
    bound: float
    needed: int

    @property
    def too_few(self) -> bool:
        """Whether the reason for no threshold is that there is too little to test."""
        return self.threshold is None and self.emitted < self.needed


def fit_threshold(
    confidence: Float64, right: npt.NDArray[np.bool_], note: npt.NDArray[np.int64], target: float
) -> KindThreshold:
    """The lowest threshold on the grid whose lower confidence bound on precision reaches the target.

    Args:
        confidence: float64[rows], of candidates of labelled notes.
        right: bool[rows].
        note: int64[rows], the note of each row.
        target: precision, within (0, 1).
    """
    # All of fewer tags than half of this being right would prove nothing; the other half leaves room for some wrong
    # ones, without which the walk would often end where it begins.
    needed = 2 * ceil(log(1 - CONFIDENCE) / log(target))
    found: float | None = None
    highest: float | None = None
    for threshold in GRID:
        chosen = confidence >= threshold
        # How many there are says nothing about how right they are, so leaving out a test for it costs nothing.
        if chosen.sum() < needed:
            continue
        highest = highest or threshold
        if _p_value(right[chosen], note[chosen], target) > 1 - CONFIDENCE:
            break
        found = threshold
    shown = GRID[-1] if highest is None else found or highest
    chosen = confidence >= shown
    return KindThreshold(
        threshold=found,
        emitted=int(chosen.sum()),
        right=float(right[chosen].mean()) if chosen.any() else 0.0,
        bound=lower_bound(*_independent(right[chosen], note[chosen])),
        needed=needed,
    )


def lower_bound(right: int, tags: int, confidence: float = CONFIDENCE) -> float:
    """The exact (Clopper–Pearson) one-sided lower confidence bound on a share.

    Args:
        right: how many are right.
        tags: of how many.
        confidence: of the bound.
    """
    if right <= 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(right, tags, middle) < 1 - confidence else (low, middle)
    return low


def tail(k: int, n: int, p: float) -> float:
    """P(X ≥ k) for X ~ Binomial(n, p)."""
    if k <= 0:
        return 1.0
    if p <= 0:
        return 0.0
    if p >= 1:
        return 1.0
    right = np.arange(k, n + 1)
    factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    ways = factorial[n] - factorial[right] - factorial[n - right]
    return float(min(np.exp(ways + right * log(p) + (n - right) * np.log1p(-p)).sum(), 1.0))


def _p_value(right: npt.NDArray[np.bool_], note: npt.NDArray[np.int64], target: float) -> float:
    """How likely so many right tags are, at the most, where precision is below the target."""
    return tail(*_independent(right, note), target)


def _independent(right: npt.NDArray[np.bool_], note: npt.NDArray[np.int64]) -> tuple[int, int]:
    """How many right tags, of how many, independent ones would be that vary alike; rounded against ourselves."""
    effect = _design_effect(right.astype(np.float64), note)
    return int(right.sum() / effect), ceil(len(right) / effect)


def _design_effect(right: Float64, note: npt.NDArray[np.int64]) -> float:
    """How many tags of the same notes say as much as one on its own; at least 1 (Kish 1965)."""
    share = right.mean() if right.size else 0.0
    if not 0 < share < 1:
        return 1.0
    places = np.unique(note, return_inverse=True)[1]
    together = np.bincount(places, right - share)
    return max(float(np.square(together).sum() / (len(right) * share * (1 - share))), 1.0)
