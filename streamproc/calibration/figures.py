"""What a person wants to know of confidences: how many tags they emit, how right these are, how far off they are."""

import msgspec
import numpy as np
import numpy.typing as npt

from streamproc.calibration.error import expected_calibration_error, noise_errors

__all__ = ["EMIT", "Figures", "figures_of"]

EMIT = 0.5
"""Tags from this confidence on are emitted (LLM4Tag, 3.3)."""

_DRAWS = 1_000


class Figures(msgspec.Struct, frozen=True):
    """Figures of the tags emitted at .5, and of all candidates.

    Attributes:
        tags_a_note: tags emitted a note.
        right: share of them that people gave the note.
        confidence: their mean confidence.
        error: their expected calibration error (:func:`expected_calibration_error`).
        floor: what a perfectly calibrated model of the same confidences would show, on average (:func:`noise_errors`).
        coverage: share of the notes with at least one tag.
        log_loss: mean over all candidates.
        brier: mean over all candidates.
    """

    tags_a_note: float
    right: float
    confidence: float
    error: float
    floor: float
    coverage: float
    log_loss: float
    brier: float


def figures_of(
    confidence: npt.ArrayLike, right: npt.ArrayLike, note: npt.NDArray[np.int64], notes: int
) -> Figures:
    """Measure confidences.

    Args:
        confidence: float[rows] within (0, 1).
        right: bool[rows].
        note: int64[rows], the note of each row.
        notes: how many notes there are.
    """
    q, y = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    emitted = q >= EMIT
    return Figures(
        tags_a_note=float(emitted.sum() / max(notes, 1)),
        right=float(y[emitted].mean()) if emitted.any() else 0.0,
        confidence=float(q[emitted].mean()) if emitted.any() else 0.0,
        error=expected_calibration_error(q[emitted], y[emitted]),
        floor=float(noise_errors(q[emitted], draws=_DRAWS).mean()),
        coverage=float(len(np.unique(note[emitted])) / max(notes, 1)),
        log_loss=float(-np.where(y > 0, np.log(q), np.log1p(-q)).mean()) if q.size else 0.0,
        brier=float(np.square(q - y).mean()) if q.size else 0.0,
    )
