"""Fitting of calibration maps to judged probabilities, by maximum likelihood.

Both maps are logistic regressions on transforms of the probability. A weak pull towards the identity,
worth one judgement, keeps a handful of labels from giving an extreme map.
"""

import numpy as np
import numpy.typing as npt

from streamproc.inference.calibration import Beta, Temperature

__all__ = ["fit_beta", "fit_temperature"]

Float64 = npt.NDArray[np.float64]

# A slope below this would make the map flat over most of its range.
_LOWEST_SLOPE = 0.01

_EPSILON = 1e-13
_MAX_STEPS = 100
_TOLERANCE = 1e-10


def fit_temperature(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> Temperature:
    """The temperature of highest likelihood.

    Args:
        probabilities: float[n] within [0, 1], before calibration.
        labels: bool[n]; whether the tag was right.
    """
    p, y = _checked(probabilities, labels)
    features = (np.log(p) - np.log1p(-p))[:, None]
    prior = np.array([1.0])
    slope = _newton(features, y, prior, free=np.array([True]))[0]
    return Temperature(temperature=float(1 / max(slope, _LOWEST_SLOPE)))


def fit_beta(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> Beta:
    """The beta map of highest likelihood among those that increase strictly.

    The loss is convex and only two parameters are bounded, so the best of the four ways to hold them
    at their bounds is the optimum.

    Args:
        probabilities: float[n] within [0, 1], before calibration.
        labels: bool[n]; whether the tag was right.
    """
    p, y = _checked(probabilities, labels)
    features = np.column_stack([np.log(p), -np.log1p(-p), np.ones_like(p)])
    prior = np.array([1.0, 1.0, 0.0])
    best: tuple[float, Float64] | None = None
    for hold_a, hold_b in ((False, False), (True, False), (False, True), (True, True)):
        held = np.array([hold_a, hold_b, False])
        start = np.where(held, _LOWEST_SLOPE, prior)
        fitted = _newton(features, y, prior, free=~held, start=start)
        if (fitted[:2] < _LOWEST_SLOPE).any():
            continue
        loss = _loss(features, y, prior, fitted)
        if best is None or loss < best[0]:
            best = (loss, fitted)
    assert best is not None  # noqa: S101 - with both slopes held the fit is always feasible
    a, b, c = best[1]
    return Beta(a=float(a), b=float(b), c=float(c))


def _checked(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Float64, Float64]:
    p = np.clip(np.asarray(probabilities, dtype=np.float64), _EPSILON, 1 - _EPSILON)
    y = np.asarray(labels, dtype=np.float64)
    if p.ndim != 1 or p.shape != y.shape or not p.size:
        raise ValueError(f"expected one label a probability and at least one, not {p.shape} and {y.shape}")
    return p, y


def _loss(features: Float64, y: Float64, prior: Float64, weights: Float64) -> float:
    logit = features @ weights
    return float(np.sum(np.logaddexp(0, logit) - y * logit) + 0.5 * np.sum((weights - prior) ** 2))


def _newton(
    features: Float64,
    y: Float64,
    prior: Float64,
    *,
    free: npt.NDArray[np.bool_],
    start: Float64 | None = None,
) -> Float64:
    """Logistic regression with a unit Gaussian prior; only the free weights move, from ``start``."""
    weights = (prior if start is None else start).copy()
    loss = _loss(features, y, prior, weights)
    used = features[:, free]
    for _ in range(_MAX_STEPS):
        predicted = 1 / (1 + np.exp(-np.clip(features @ weights, -700, 700)))
        gradient = used.T @ (predicted - y) + (weights - prior)[free]
        curvature = (used * (predicted * (1 - predicted))[:, None]).T @ used + np.eye(int(free.sum()))
        step = np.linalg.solve(curvature, gradient)
        scale = 1.0
        while scale > _TOLERANCE:
            moved = weights.copy()
            moved[free] -= scale * step
            moved_loss = _loss(features, y, prior, moved)
            if moved_loss <= loss:
                break
            scale /= 2
        else:
            return weights
        converged = loss - moved_loss < _TOLERANCE * (1 + abs(loss))
        weights, loss = moved, moved_loss
        if converged:
            return weights
    return weights
