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
        probabilities.append(_probabilities(bundle, part.evidence[chosen]))
        right.append(part.right[chosen])
    return fit_beta(np.concatenate(probabilities), np.concatenate(right))


def _probabilities(bundle: Bundle, evidence: Float32) -> Float32:
    """The exported calibrator's softmax before any map, float32[rows]."""
    tagger, calibrator = bundle.manifest.tagger, bundle.manifest.calibrator
    if tagger is None or calibrator is None:
        raise BundleError(f"{bundle.path} has no trained tagger and calibrator: train them first")
    logit = _run(bundle, tagger.file, "evidence", evidence)
    features = np.concatenate([evidence, logit[:, None]], axis=1)
    return yes_probability(_run(bundle, calibrator.file, "features", features)).astype(np.float32)


def _run(bundle: Bundle, file: str, source: str, rows: Float32) -> Float32:
    session = InferenceSession(str(bundle.file(file)), providers=["CPUExecutionProvider"])
    output: Float32 = session.run(None, {source: rows})[0]
    return output
