"""The simpler way to confidences: the tagger's own logits, divided by one fitted temperature (Guo et al. 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamproc.evaluation.scoring import Scored
from streamproc.inference.protocols import Float32

__all__ = ["Tempered", "fit_temperature", "tempered"]

_COLDEST, _HOTTEST = 0.02, 50.0
_STEPS = 60


@dataclass(frozen=True, slots=True)
class Tempered:
    """The tagger's confidences after scaling.

    Attributes:
        temperature: the mean of the two that were fitted.
        confidences: float32[candidates] a note.
    """

    temperature: float
    confidences: list[Float32]


def tempered(scored: Scored) -> Tempered:
    """Each half of the notes is scaled by the temperature fitted to the other half.

    So it knows the very distribution that it is judged on: whoever beats it has not won by fitting.
    """
    right = np.split(scored.right, np.cumsum([len(each) for each in scored.logits])[:-1])
    halves = (slice(0, None, 2), slice(1, None, 2))
    fitted = [fit_temperature(_joined(scored.logits[half]), _joined(right[half])) for half in halves]
    return Tempered(
        float(np.mean(fitted)),
        [
            (1 / (1 + np.exp(-np.clip(logits.astype(np.float64) / fitted[1 - place % 2], -30, 30)))).astype(
                np.float32
            )
            for place, logits in enumerate(scored.logits)
        ],
    )


def fit_temperature(logits: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """The temperature of highest likelihood, within .02 and 50; 1 where there is nothing to learn from.

    Args:
        logits: float[rows].
        right: bool[rows].
    """
    z, y = np.asarray(logits, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if not z.size:
        return 1.0
    # The likelihood is concave in the slope 1 / T: its derivative changes sign once.
    low, high = 1 / _HOTTEST, 1 / _COLDEST
    for _ in range(_STEPS):
        slope = (low + high) / 2
        rising = float(z @ (y - 1 / (1 + np.exp(-np.clip(slope * z, -30, 30))))) > 0
        low, high = (slope, high) if rising else (low, slope)
    return 2 / (low + high)


def _joined(parts: Sequence[npt.NDArray[np.float32] | npt.NDArray[np.bool_]]) -> npt.NDArray[np.float64]:
    return np.concatenate([np.zeros(0), *parts])
