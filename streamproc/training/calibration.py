"""Fitting of calibration maps: continuous, strictly increasing, on the very artifact that is served."""

import numpy as np
import numpy.typing as npt

from streamproc.inference.calibration import Beta

__all__ = ["fit_beta"]

_STEPS = 50
_RIDGE = 1e-3  # towards the identity; keeps the map where it is when there is little to learn from
_LEAST_SLOPE = 0.05  # a map that is flat would make ties


def fit_beta(probabilities: npt.ArrayLike, right: npt.ArrayLike) -> Beta:
    """The Beta map that makes these probabilities likeliest (Kull et al. 2017), by Newton's method.

    Args:
        probabilities: float[rows], of the exported model.
        right: bool[rows].
    """
    p = np.clip(np.asarray(probabilities, dtype=np.float64), 1e-9, 1 - 1e-9)
    y = np.asarray(right, dtype=np.float64)
    x = np.stack([np.log(p), -np.log1p(-p), np.ones_like(p)], axis=1)
    identity = np.array([1.0, 1.0, 0.0])
    weights = identity.copy()
    for _ in range(_STEPS):
        predicted = 1 / (1 + np.exp(-x @ weights))
        gradient = x.T @ (predicted - y) + _RIDGE * len(y) * (weights - identity)
        curvature = (x * (predicted * (1 - predicted))[:, None]).T @ x + _RIDGE * len(y) * np.eye(3)
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < 1e-9:
            break
    return Beta(
        a=float(max(weights[0], _LEAST_SLOPE)), b=float(max(weights[1], _LEAST_SLOPE)), c=float(weights[2])
    )
