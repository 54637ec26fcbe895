"""Logistic regression with a ridge, by Newton's method with step halving: convex, deterministic."""

import numpy as np
import numpy.typing as npt

__all__ = ["fit_logistic"]

Float64 = npt.NDArray[np.float64]

_STEPS = 100
_HALVINGS = 30
_CONVERGED = 1e-9


def fit_logistic(inputs: Float64, right: Float64, *, towards: Float64, ridge: float) -> Float64:
    """Weights float64[inputs] that make the truth likeliest.

    Args:
        inputs: float64[rows, inputs]; give a column of ones for an intercept.
        right: float64[rows], 0 or 1.
        towards: float64[inputs], where the ridge pulls and the search begins.
        ridge: strength of the pull, relative to the mean loss of a row.
    """
    weights = towards.copy()
    loss = _loss(inputs, right, weights, towards, ridge)
    for _ in range(_STEPS):
        p = _sigmoid(inputs @ weights)
        gradient = inputs.T @ (p - right) / len(right) + ridge * (weights - towards)
        curvature = (inputs * (p * (1 - p))[:, None]).T @ inputs / len(right) + ridge * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        for _ in range(_HALVINGS):  # far from the minimum a full step may overshoot
            after = _loss(inputs, right, weights - step, towards, ridge)
            if after <= loss:
                break
            step /= 2
        else:
            break
        weights, loss = weights - step, after
        if np.abs(step).max() < _CONVERGED:
            break
    return weights


def _sigmoid(z: Float64) -> Float64:
    return 1 / (1 + np.exp(-np.clip(z, -500, 500)))


def _loss(inputs: Float64, right: Float64, weights: Float64, towards: Float64, ridge: float) -> float:
    z = inputs @ weights
    return float((np.logaddexp(0, z) - right * z).mean() + ridge / 2 * np.square(weights - towards).sum())
