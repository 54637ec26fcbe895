"""Logistic regression with a ridge, by Newton's method with step halving: convex, deterministic."""

import numpy as np
import numpy.typing as npt

__all__ = ["fit_logistic"]

Float64 = npt.NDArray[np.float64]

_STEPS = 100
_HALVINGS = 30
_CONVERGED = 1e-7  # of the loss of a mean row


def fit_logistic(
    inputs: Float64,
    right: Float64,
    *,
    towards: Float64,
    ridge: float | Float64,
    offset: Float64 | float = 0.0,
) -> Float64:
    """Weights float64[inputs] that make the truth likeliest.

    Args:
        inputs: float64[rows, inputs]; give a column of ones for an intercept.
        right: float64[rows], 0 or 1.
        towards: float64[inputs], where the ridge pulls and the search begins.
        ridge: strength of the pull on each weight, relative to the mean loss of a row.
        offset: float64[rows], what is added to every logit beside the inputs.
    """
    weights = towards.copy()
    pull = np.broadcast_to(np.asarray(ridge, dtype=np.float64), weights.shape)

    def loss_of(candidate: Float64) -> float:
        z = inputs @ candidate + offset
        return float(
            (np.logaddexp(0, z) - right * z).mean() + (pull / 2 * np.square(candidate - towards)).sum()
        )

    loss = loss_of(weights)
    for _ in range(_STEPS):
        p = _sigmoid(inputs @ weights + offset)
        gradient = inputs.T @ (p - right) / len(right) + pull * (weights - towards)
        curvature = (inputs * (p * (1 - p))[:, None]).T @ inputs / len(right) + np.diag(pull)
        step = np.linalg.solve(curvature, gradient)
        for _ in range(_HALVINGS):  # far from the minimum a full step may overshoot
            after = loss_of(weights - step)
            if after <= loss:
                break
            step /= 2
        else:
            break
        gained = loss - after
        weights, loss = weights - step, after
        if gained < _CONVERGED * loss:
            break
    return weights


def _sigmoid(z: Float64) -> Float64:
    p: Float64 = 1 / (1 + np.exp(-np.clip(z, -500, 500)))
    return p
