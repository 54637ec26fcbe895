"""The forms a calibration map may take, from the simplest to one that adapts the judge to the repository.

Every fit is a logistic regression with a ridge towards the map in force, so little data moves it little.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from streamproc.calibration.logistic import fit_logistic
from streamproc.calibration.shapes import named, shape_of
from streamproc.graph.evidence import FEATURES
from streamproc.inference.calibration import (
    Adapted,
    Bends,
    Beta,
    Identity,
    Temperature,
    UngatedMap,
    apply_map,
)

__all__ = [
    "FORMS",
    "Form",
    "bend",
    "fit_adapted",
    "fit_bends",
    "fit_beta",
    "fit_temperature",
    "logit_of",
    "starting_beta",
]

Float64 = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

LEAST_SLOPE = 0.05
"""A map that is flatter than this makes near ties."""

_EPSILON = 2.0**-24  # as far as float32 confidences go

_BETA_RIDGE = 1.0  # the map in force counts as much as one or two rows
_TERM_RIDGE = 30.0  # a term must be worth a few dozen rows; 10 to 100 did about as well on four sets' valid

_BEND_KNOTS = (-3.0, -1.5, -0.5, 0.5, 1.5, 3.0)  # logits: confidences from .05 to .95
_BEND_ENDS = 8.0
_BEND_RIDGE = (0.1, 0.1, *(3.0 for _ in _BEND_KNOTS))
_STEEPER_RIDGE = 10.0

Fit = Callable[[Float64, Float32, npt.NDArray[np.bool_], Beta], UngatedMap]
"""(probability float64[rows], evidence float32[rows, features], right bool[rows], start) → map."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form of map.

    Attributes:
        name: as people read it.
        fit: fits it.
        bent: whether smoothed bins follow, fitted on held-out logits of the former.
    """

    name: str
    fit: Fit
    bent: bool = False


def starting_beta(calibration: UngatedMap) -> Beta:
    """The map in force as a Beta map, where the fits begin; the identity for a map that hears evidence."""
    match calibration:
        case Beta():
            return calibration
        case Temperature(temperature=temperature):
            return Beta(1 / temperature, 1 / temperature, 0.0)
        case Identity() | Adapted():
            return Beta(1.0, 1.0, 0.0)


def fit_temperature(probabilities: npt.ArrayLike, right: npt.ArrayLike, start: float = 1.0) -> Temperature:
    """The temperature of highest likelihood.

    Args:
        probabilities: float[rows], before calibration.
        right: bool[rows].
        start: the slope of the map in force, where the ridge pulls.
    """
    p, y = _checked(probabilities, right)
    inputs = (np.log(p) - np.log1p(-p))[:, None]
    slope = fit_logistic(inputs, y, towards=np.array([start]), ridge=_BETA_RIDGE / len(y))[0]
    return Temperature(float(1 / max(slope, LEAST_SLOPE)))


def fit_beta(probabilities: npt.ArrayLike, right: npt.ArrayLike, start: Beta | None = None) -> Beta:
    """The Beta map of highest likelihood among those that rise (Kull et al. 2017).

    Args:
        probabilities: float[rows], before calibration.
        right: bool[rows].
        start: the map in force, where the ridge pulls; the identity unless given.
    """
    p, y = _checked(probabilities, right)
    weights = _rising(_beta_inputs(p), y, start or Beta(1.0, 1.0, 0.0), 0)
    return Beta(float(weights[0]), float(weights[1]), float(weights[2]))


def fit_adapted(
    probability: Float64, evidence: Float32, right: npt.NDArray[np.bool_], start: Beta, *, curved: bool
) -> Adapted:
    """A Beta map and a term for each column of the evidence that varies.

    Args:
        probability: float64[rows], before calibration.
        evidence: float32[rows, features].
        right: bool[rows].
        start: where the ridge pulls.
        curved: whether terms may bend at some quantiles of their column; else they are straight.
    """
    p, y = _checked(probability, right)
    shapes = [
        shape
        for place, name in enumerate(FEATURES[: evidence.shape[1]])
        if (shape := shape_of(name, evidence[:, place].astype(np.float64), curved=curved)) is not None
    ]
    columns = [shape.inputs(evidence[:, FEATURES.index(shape.column)].astype(np.float64)) for shape in shapes]
    inputs = np.concatenate([_beta_inputs(p), *columns], axis=1)
    weights = _rising(inputs, y, start, inputs.shape[1] - 3)
    ends = np.cumsum([3, *(each.shape[1] for each in columns)])
    return Adapted(
        float(weights[0]),
        float(weights[1]),
        float(weights[2]),
        tuple(
            shape.term(weights[first:last])
            for shape, first, last in zip(shapes, ends[:-1], ends[1:], strict=True)
        ),
    )


def fit_bends(logits: Float64, right: npt.NDArray[np.bool_]) -> Bends:
    """Smoothed bins: a line with a few bends, straightened until it rises everywhere.

    Args:
        logits: float64[rows], held out: of a map that was fitted on other notes.
        right: bool[rows].
    """
    y = right.astype(np.float64)
    knots = np.array(_BEND_KNOTS)
    inputs = np.concatenate(
        [
            np.ones((len(logits), 1)),
            logits[:, None],
            np.maximum(logits[:, None] - knots, 0),
        ],
        axis=1,
    )
    towards = np.zeros(inputs.shape[1])
    towards[1] = 1
    ridge = np.array(_BEND_RIDGE) / len(y)
    while True:
        weights = fit_logistic(inputs, y, towards=towards, ridge=ridge)
        if np.cumsum(weights[1:]).min() >= LEAST_SLOPE:
            break
        ridge = ridge * _STEEPER_RIDGE
    at = np.array([-_BEND_ENDS, *knots, _BEND_ENDS])
    to = weights[0] + weights[1] * at + np.maximum(at[:, None] - knots, 0) @ weights[2:]
    return Bends(tuple(at.tolist()), tuple(to.tolist()))


def bend(calibration: UngatedMap, bends: Bends) -> Adapted:
    """The map with smoothed bins after it."""
    if isinstance(calibration, Adapted):
        return msgspec.structs.replace(calibration, bends=bends)
    beta = starting_beta(calibration)
    return Adapted(beta.a, beta.b, beta.c, bends=bends)


def logit_of(calibration: UngatedMap, probability: Float64, evidence: Float32) -> Float64:
    """The map's result as logits, float64[rows]."""
    p = apply_map(calibration, probability, named(evidence))
    logit: Float64 = np.log(p) - np.log1p(-p)
    return logit


def _fit_temperature(p: Float64, _e: Float32, right: npt.NDArray[np.bool_], start: Beta) -> UngatedMap:
    return fit_temperature(p, right, (start.a + start.b) / 2)


def _fit_beta(p: Float64, _e: Float32, right: npt.NDArray[np.bool_], start: Beta) -> UngatedMap:
    return fit_beta(p, right, start)


def _fit_straight(p: Float64, e: Float32, right: npt.NDArray[np.bool_], start: Beta) -> UngatedMap:
    return fit_adapted(p, e, right, start, curved=False)


def _fit_curved(p: Float64, e: Float32, right: npt.NDArray[np.bool_], start: Beta) -> UngatedMap:
    return fit_adapted(p, e, right, start, curved=True)


FORMS: Sequence[Form] = (
    Form("temperature", _fit_temperature),
    Form("beta", _fit_beta),
    Form("smoothed bins", _fit_beta, bent=True),
    Form("evidence", _fit_straight),
    Form("evidence and smoothed bins", _fit_straight, bent=True),
    Form("curved evidence", _fit_curved),
    Form("curved evidence and smoothed bins", _fit_curved, bent=True),
)
"""From the simplest to the richest."""


def _rising(inputs: Float64, right: Float64, start: Beta, terms: int) -> Float64:
    """Weights whose first two are positive: one that would not be is held at the least slope."""
    towards = np.concatenate([[start.a, start.b, start.c], np.zeros(terms)])
    ridge = np.concatenate([np.full(3, _BETA_RIDGE), np.full(terms, _TERM_RIDGE)]) / len(right)
    held: list[int] = []
    while True:
        free = [place for place in range(len(towards)) if place not in held]
        weights = np.full(len(towards), LEAST_SLOPE)
        weights[free] = fit_logistic(
            inputs[:, free],
            right,
            towards=towards[free],
            ridge=ridge[free],
            offset=LEAST_SLOPE * inputs[:, held].sum(axis=1),
        )
        flat = [place for place in (0, 1) if weights[place] < LEAST_SLOPE]
        if not flat:
            return weights
        held += flat


def _beta_inputs(p: Float64) -> Float64:
    return np.stack([np.log(p), -np.log1p(-p), np.ones_like(p)], axis=1)


def _checked(probabilities: npt.ArrayLike, right: npt.ArrayLike) -> tuple[Float64, Float64]:
    p = np.clip(np.asarray(probabilities, dtype=np.float64), _EPSILON, 1 - _EPSILON)
    y = np.asarray(right, dtype=np.float64)
    if p.ndim != 1 or p.shape != y.shape or not p.size:
        raise ValueError(f"expected one label a probability and at least one, not {p.shape} and {y.shape}")
    return p, y
