"""What candidates' evidence adds to a logit: the pieces that calibration maps are made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["Evidence", "Term", "require_points", "terms_logit"]

Float64 = npt.NDArray[np.float64]


class Term(msgspec.Struct, frozen=True):
    """What one column of the evidence adds to the logit: straight lines between points, constant beyond them.

    Attributes:
        column: its name.
        at: rising values of the column.
        adds: what is added to the logit there.
    """

    column: str
    at: tuple[float, ...]
    adds: tuple[float, ...]

    def __post_init__(self) -> None:
        require_points(self.at, self.adds)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence of some candidates.

    Attributes:
        columns: names.
        rows: float32[candidates, columns].
        tags: id of each candidate's tag; empty: nobody said, and no map asks.
    """

    columns: Sequence[str]
    rows: npt.NDArray[np.float32]
    tags: Sequence[str] = ()

    def column(self, name: str) -> Float64:
        """One column, float64[candidates].

        Raises:
            ValueError: there is none of that name.
        """
        return self.rows[:, list(self.columns).index(name)].astype(np.float64)


def terms_logit(terms: Sequence[Term], evidence: Evidence) -> Float64:
    """The sum of the terms, float64[candidates].

    Raises:
        ValueError: a term hears a column that the evidence lacks.
    """
    logit = np.zeros(len(evidence.rows))
    for term in terms:
        logit += np.interp(evidence.column(term.column), term.at, term.adds)
    return logit


def require_points(at: Sequence[float], values: Sequence[float]) -> None:
    """Accept points of a line.

    Raises:
        ValueError: they are fewer than two, do not rise, or are not finite.
    """
    if len(at) < 2 or len(at) != len(values):
        raise ValueError(f"at least two points are needed, one value each, not {len(at)} and {len(values)}")
    if not np.isfinite([*at, *values]).all() or not (np.diff(at) > 0).all():
        raise ValueError(f"points must rise and all values be finite, not {at} and {values}")
