"""How a column of the evidence enters a logistic regression: straight, or with a few bends."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamproc.graph.evidence import COLUMN, FEATURES
from streamproc.inference.calibration import Evidence, Term

__all__ = ["Shape", "column_inputs", "column_shape", "named", "shape_of"]

Float64 = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_KNOTS = (0.3, 0.7, 0.9, 0.97)
"""Quantiles at which a curved term may change its slope; most columns are near 0 for most candidates."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a column enters: hinges of one scale, so that the ridge means the same for all.

    Attributes:
        column: its name.
        high: its highest value; beyond it, as below the first hinge, the term is constant.
        scale: its standard deviation.
        hinges: where the line may change its slope; the first is the column's lowest value.
    """

    column: str
    high: float
    scale: float
    hinges: tuple[float, ...]

    def inputs(self, values: Float64) -> Float64:
        """The inputs of the regression, float64[rows, hinges]."""
        within = np.minimum(values, self.high)
        inputs: Float64 = np.maximum(within[:, None] - np.array(self.hinges), 0) / self.scale
        return inputs

    def term(self, weights: Float64) -> Term:
        """The term that these weights make."""
        at = np.array([*self.hinges, self.high])
        adds = self.inputs(at) @ weights
        return Term(self.column, tuple(at.tolist()), tuple(adds.tolist()))


def shape_of(column: str, values: Float64, *, curved: bool) -> Shape | None:
    """The shape that fits these values of a column; None: they are all alike.

    Args:
        column: its name.
        values: float64[rows].
        curved: whether the line may bend at some quantiles.
    """
    low, high, scale = float(values.min()), float(values.max()), float(values.std())
    if scale < 1e-6:
        return None
    hinges = [low]
    if curved:
        least = 1e-3 * scale
        for knot in np.quantile(values, _KNOTS):
            if hinges[-1] + least < knot < high - least:
                hinges.append(float(knot))
    return Shape(column, high, scale, tuple(hinges))


def named(evidence: Float32, tags: Sequence[str] = ()) -> Evidence:
    """Evidence with the names of its columns, the first so many of ``FEATURES``."""
    return Evidence(FEATURES[: evidence.shape[1]], evidence, tags)


def column_shape(column: str, evidence: Float32, *, curved: bool) -> Shape | None:
    """The shape that fits a column of this evidence, float32[rows, features]; None: its values are all alike."""
    return shape_of(column, evidence[:, COLUMN[column]].astype(np.float64), curved=curved)


def column_inputs(shape: Shape, evidence: Float32) -> Float64:
    """The inputs that a shape makes of its column of this evidence, float64[rows, hinges]."""
    return shape.inputs(evidence[:, COLUMN[shape.column]].astype(np.float64))
