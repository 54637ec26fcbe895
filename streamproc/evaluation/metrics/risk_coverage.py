"""Risk–coverage: how wrong the surest are, the more of them one accepts (El-Yaniv and Wiener 2010)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Point", "area_under_risk_coverage", "risk_coverage"]

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Point:
    """One choice of threshold.

    Attributes:
        coverage: share of the tags that are accepted.
        risk: share of the accepted that is wrong.
        threshold: the confidence from which on they are accepted.
    """

    coverage: float
    risk: float
    threshold: float


def risk_coverage(
    confidences: npt.ArrayLike, right: npt.ArrayLike, threshold: float = 0.5, points: int = 100
) -> tuple[Point, ...]:
    """The curve, thinned to about this many points of equal coverage, the surest first.

    Args:
        confidences: float[tags].
        right: bool[tags].
        threshold: the point of the last tag that reaches it is kept.
        points: how many others at most.
    """
    ordered = np.sort(np.asarray(confidences, dtype=float))[::-1]
    risks = _risks(confidences, right)
    count = len(risks)
    if not count:
        return ()
    thinned = np.linspace(0, count - 1, min(points, count)).round().astype(int)
    reached = int((ordered >= threshold).sum())
    places = np.unique([*thinned, *([reached - 1] if reached else [])])
    return tuple(
        Point(float((place + 1) / count), float(risks[place]), float(ordered[place])) for place in places
    )


def area_under_risk_coverage(confidences: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """The mean risk over all coverages; it depends on the order of the confidences alone. Less is better."""
    risks = _risks(confidences, right)
    return float(risks.mean()) if risks.size else 0.0


def _risks(confidences: npt.ArrayLike, right: npt.ArrayLike) -> Float64:
    """The risk of accepting the surest 1, 2, …, float64[tags]; among equals each has their mean truth."""
    p, y = np.asarray(confidences, dtype=float), np.asarray(right, dtype=float)
    if not p.size:
        return np.zeros(0)
    _, group, sizes = np.unique(-p, return_inverse=True, return_counts=True)
    truth = np.bincount(group, weights=y) / sizes
    accepted: Float64 = np.cumsum(np.repeat(truth, sizes))
    return 1 - accepted / np.arange(1, len(p) + 1)
