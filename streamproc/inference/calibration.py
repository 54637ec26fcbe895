"""Calibration maps: from a model's probability to one that can be relied on.

Every map is continuous and strictly increasing on (0, 1), so it never changes the order of two tags,
and has no steps that make ties. Each is a tagged Struct and lives in a bundle's manifest.
"""

from typing import assert_never

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["Beta", "CalibrationMap", "Identity", "Temperature", "apply_map"]

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


CalibrationMap = Identity | Temperature | Beta


def apply_map(calibration: CalibrationMap, probabilities: npt.ArrayLike) -> Probabilities:
    """Calibrated probabilities, float64, of the same shape, within (0, 1).

    Args:
        calibration: the map.
        probabilities: any shape, within [0, 1]; 0 and 1 are moved inside by 1e-13.
    """
    p = np.clip(np.asarray(probabilities, dtype=np.float64), _EPSILON, 1 - _EPSILON)
    match calibration:
        case Identity():
            return p
        case Temperature(temperature=temperature):
            logit = (np.log(p) - np.log1p(-p)) / temperature
        case Beta(a=a, b=b, c=c):
            logit = a * np.log(p) - b * np.log1p(-p) + c
        case _ as unreachable:
            assert_never(unreachable)
    return np.clip(1 / (1 + np.exp(-logit)), _EPSILON, 1 - _EPSILON)
