"""The calibration map that a newly trained calibrator starts with, fitted to the very artifact that is served."""

from collections.abc import Sequence

import numpy as np
from onnxruntime import InferenceSession

from streamproc.calibration.forms import fit_beta
from streamproc.errors import BundleError
from streamproc.inference.bundle import Bundle
from streamproc.inference.calibration import CalibrationMap
from streamproc.inference.confidence import yes_probability
from streamproc.inference.protocols import Float32
from streamproc.training.rows import Rows
from streamproc.training.served import served_logits

__all__ = ["fit_map"]


def fit_map(bundle: Bundle, parts: Sequence[Rows]) -> CalibrationMap:
    """The calibration map of a bundle's exported calibrator on these rows, each part counting alike.

    Raises:
        BundleError: the bundle has no tagger or no calibrator.
    """
    least = min(len(part.right) for part in parts)
    random = np.random.default_rng(0)
    probabilities, right = [], []
    for part in parts:
        chosen = random.permutation(len(part.right))[:least]
        probabilities.append(_probabilities(bundle, part)[chosen])
        right.append(part.right[chosen])
    return fit_beta(np.concatenate(probabilities), np.concatenate(right))


def _probabilities(bundle: Bundle, rows: Rows) -> Float32:
    """The exported calibrator's softmax before any map, float32[rows]."""
    calibrator = bundle.manifest.calibrator
    if calibrator is None:
        raise BundleError(f"{bundle.path} has no trained calibrator: train one first")
    features = np.concatenate([rows.evidence, served_logits(bundle, rows)[:, None]], axis=1)
    session = InferenceSession(str(bundle.file(calibrator.file)), providers=["CPUExecutionProvider"])
    return yes_probability(session.run(None, {"features": features})[0]).astype(np.float32)
