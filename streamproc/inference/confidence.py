"""From a judge's Yes and No to a confidence."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from streamproc.errors import NotFiniteError
from streamproc.inference.calibration import BoundMap, Evidence, apply_map
from streamproc.inference.protocols import Float32, TaggingRequest
from streamproc.inference.rows import evidence_rows

__all__ = ["confidences", "yes_probability"]

# float32 has no number between 1 - 2^-24 and 1; confidences stay strictly within (0, 1).
_LOWEST = np.float32(2.0**-24)
_HIGHEST = np.float32(1 - 2.0**-24)


def confidences(yes_no: Float32, calibration: BoundMap, requests: Sequence[TaggingRequest]) -> Float32:
    """Conf = exp(s_yes) / (exp(s_yes) + exp(s_no)) (LLM4Tag equation 10), then the calibration map.

    Args:
        yes_no: float32[rows, 2], the logits of Yes and of No for the candidates of all requests in order.
        calibration: the map in force.
        requests: at least one; their evidence and tags are what maps may hear.

    Returns:
        float32[rows] within (0, 1).

    Raises:
        NotFiniteError: a logit is no number. NaN would pass every threshold.
    """
    if not np.isfinite(yes_no).all():
        raise NotFiniteError("the calibrator answered with a logit that is not finite")
    evidence = Evidence(
        calibration.columns,
        evidence_rows(requests, len(calibration.columns)),
        [candidate.tag_id for request in requests for candidate in request.candidates],
    )
    calibrated = apply_map(calibration.calibration, yes_probability(yes_no), evidence)
    return np.clip(calibrated.astype(np.float32), _LOWEST, _HIGHEST)


def yes_probability(yes_no: Float32) -> npt.NDArray[np.float64]:
    """The softmax of Yes and No before any map, float64[rows].

    Args:
        yes_no: float32[rows, 2].
    """
    margin = yes_no[:, 0].astype(np.float64) - yes_no[:, 1]
    probability: npt.NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(margin, -700, 700)))
    return probability  # exp overflows float64 beyond 709
