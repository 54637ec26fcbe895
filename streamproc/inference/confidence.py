"""From a judge's Yes and No to a confidence."""

import numpy as np

from streamproc.inference.calibration import CalibrationMap, apply_map
from streamproc.inference.protocols import Float32

__all__ = ["confidences"]

# float32 has no number between 1 - 2^-24 and 1; confidences stay strictly within (0, 1).
_LOWEST = np.float32(2.0**-24)
_HIGHEST = np.float32(1 - 2.0**-24)


def confidences(yes_no: Float32, calibration: CalibrationMap) -> Float32:
    """Conf = exp(s_yes) / (exp(s_yes) + exp(s_no)) (LLM4Tag equation 10), then the calibration map.

    Args:
        yes_no: float32[rows, 2], the logits of Yes and of No.
        calibration: the bundle's map.

    Returns:
        float32[rows] within (0, 1).
    """
    margin = yes_no[:, 0].astype(np.float64) - yes_no[:, 1]
    probability = 1 / (1 + np.exp(-np.clip(margin, -700, 700)))  # exp overflows float64 beyond 709
    calibrated = apply_map(calibration, probability).astype(np.float32)
    return np.clip(calibrated, _LOWEST, _HIGHEST)
