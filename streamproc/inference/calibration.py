"""Calibration maps: from a model's probability to one that can be relied on.

Every map is continuous and strictly increasing in the probability on (0, 1), so it has no steps that make
ties. The simple ones never change the order of two tags; an adapted map also hears the evidence, as people's
labels of this very repository ask for, and may. Each is a tagged Struct and lives in a bundle's manifest or in
a calibration file.
"""

import hashlib
from dataclasses import dataclass
from typing import assert_never

import msgspec
import numpy as np
import numpy.typing as npt

from streamproc.inference.gate import Gate
from streamproc.inference.terms import Evidence, Term, require_points, terms_logit

__all__ = [
    "Adapted",
    "Bends",
    "Beta",
    "BoundMap",
    "CalibrationMap",
    "Evidence",
    "Gate",
    "Gated",
    "Identity",
    "Temperature",
    "Term",
    "UngatedMap",
    "apply_map",
    "map_digest",
    "ungated",
]

Probabilities = npt.NDArray[np.float64]

# Logits beyond ±30 no longer differ from 0 and 1 in float32; clipping there keeps log() finite.
_EPSILON = 1e-13


class Identity(msgspec.Struct, frozen=True, tag="identity"):
    """Leaves probabilities as they are."""


class Temperature(msgspec.Struct, frozen=True, tag="temperature"):
    """Divides the logit by a temperature: p → sigmoid(logit(p) / temperature)  (Guo et al. 2017).

    Attributes:
        temperature: positive; above 1 moves confidences towards a half.
    """

    temperature: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"temperature must be positive and finite, not {self.temperature}")


class Beta(msgspec.Struct, frozen=True, tag="beta"):
    """Beta calibration: p → sigmoid(a ln p − b ln(1 − p) + c)  (Kull et al. 2017).

    Attributes:
        a: positive weight of ln p.
        b: positive weight of −ln(1 − p).
        c: shift of the logit.
    """

    a: float
    b: float
    c: float

    def __post_init__(self) -> None:
        if not (np.isfinite([self.a, self.b, self.c]).all() and self.a > 0 and self.b > 0):
            raise ValueError(f"a and b must be positive and all finite, not a={self.a} b={self.b} c={self.c}")


class Bends(msgspec.Struct, frozen=True):
    """Smoothed bins: a logit goes to straight lines between points, and on with the slope of the last ones.

    Attributes:
        at: rising logits.
        to: rising logits that they go to.
    """

    at: tuple[float, ...]
    to: tuple[float, ...]

    def __post_init__(self) -> None:
        require_points(self.at, self.to)
        if not (np.diff(self.to) > 0).all():
            raise ValueError(f"the logits of smoothed bins must rise, not {self.to}")

    def apply(self, logits: Probabilities) -> Probabilities:
        """The logits that these go to, float64, of the same shape."""
        at, to = np.array(self.at), np.array(self.to)
        slopes = np.diff(to) / np.diff(at)
        bent: Probabilities = (
            np.interp(logits, at, to)
            + slopes[0] * np.minimum(logits - at[0], 0)
            + slopes[-1] * np.maximum(logits - at[-1], 0)
        )
        return bent


class Adapted(msgspec.Struct, frozen=True, tag="adapted"):
    """The judge adapted to a repository: p → sigmoid(bends(a ln p − b ln(1 − p) + c + Σ terms(evidence))).

    Attributes:
        a: positive weight of ln p.
        b: positive weight of −ln(1 − p).
        c: shift of the logit.
        terms: what the evidence adds; none: the map hears the probability alone.
        bends: the last step; None: there is none.
    """

    a: float
    b: float
    c: float
    terms: tuple[Term, ...] = ()
    bends: Bends | None = None

    def __post_init__(self) -> None:
        Beta(self.a, self.b, self.c)


UngatedMap = Identity | Temperature | Beta | Adapted


class Gated(msgspec.Struct, frozen=True, tag="gated"):
    """A map with a gate behind it: notes that seem to belong to no tag are believed less.

    Attributes:
        map: comes first.
        gate: what its confidences pass.
    """

    map: UngatedMap
    gate: Gate


CalibrationMap = UngatedMap | Gated


@dataclass(frozen=True, slots=True)
class BoundMap:
    """A map and the names of the evidence columns that it will be given.

    Raises:
        ValueError: the map hears a column that is not among them.
    """

    calibration: CalibrationMap
    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        missing = {term.column for term in _terms(self.calibration)} - set(self.columns)
        if missing:
            raise ValueError(f"the calibration map hears evidence that is not gathered: {sorted(missing)}")


def apply_map(
    calibration: CalibrationMap, probabilities: npt.ArrayLike, evidence: Evidence | None = None
) -> Probabilities:
    """Calibrated probabilities, float64, of the same shape, within (0, 1).

    Args:
        calibration: the map.
        probabilities: any shape, within [0, 1]; 0 and 1 are moved inside by 1e-13.
        evidence: one row a probability; only an adapted map with terms and a gated one need it.

    Raises:
        ValueError: the map hears evidence and there is none, or not its columns.
    """
    p = np.clip(np.asarray(probabilities, dtype=np.float64), _EPSILON, 1 - _EPSILON)
    match calibration:
        case Identity():
            return p
        case Temperature(temperature=temperature):
            logit = (np.log(p) - np.log1p(-p)) / temperature
        case Beta(a=a, b=b, c=c):
            logit = a * np.log(p) - b * np.log1p(-p) + c
        case Adapted():
            logit = _adapted(calibration, p, evidence)
        case Gated(map=before, gate=gate):
            if evidence is None:
                raise ValueError("a gate hears the evidence of each candidate")
            behind = gate.apply(apply_map(before, p, evidence), evidence)
            return np.maximum(behind, _EPSILON)
        case _ as unreachable:
            assert_never(unreachable)
    return np.clip(1 / (1 + np.exp(-logit)), _EPSILON, 1 - _EPSILON)


def map_digest(calibration: CalibrationMap) -> str:
    """Eight characters that tell this map from others; part of the calibrator's version in every output."""
    return hashlib.sha256(msgspec.json.encode(calibration)).hexdigest()[:8]


def ungated(calibration: CalibrationMap) -> UngatedMap:
    """The map without its gate."""
    return calibration.map if isinstance(calibration, Gated) else calibration


def _terms(calibration: CalibrationMap) -> tuple[Term, ...]:
    match calibration:
        case Adapted(terms=terms):
            return terms
        case Gated(map=before, gate=gate):
            return (*_terms(before), *gate.terms)
        case Identity() | Temperature() | Beta():
            return ()


def _adapted(calibration: Adapted, p: Probabilities, evidence: Evidence | None) -> Probabilities:
    logit: Probabilities = calibration.a * np.log(p) - calibration.b * np.log1p(-p) + calibration.c
    if calibration.terms:
        if evidence is None:
            raise ValueError("this calibration map hears the evidence of each candidate")
        logit = logit + terms_logit(calibration.terms, evidence)
    return logit if calibration.bends is None else calibration.bends.apply(logit)
