"""What a person wants to know of confidences: how many tags they emit, how right these are, how far off they are."""

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["EMIT", "Figures", "emitted_error", "figures_of", "noise_floor"]

Float64 = npt.NDArray[np.float64]

EMIT = 0.5
"""Tags from this confidence on are emitted (LLM4Tag, 3.3)."""

BINS = 15


class Figures(msgspec.Struct, frozen=True):
    """Figures of the tags emitted at .5, and of all candidates.

    Attributes:
        tags_a_note: tags emitted a note.
        right: share of them that people gave the note.
        confidence: their mean confidence.
        error: their expected calibration error (:func:`emitted_error`).
        floor: what a perfectly calibrated model of the same confidences would show (:func:`noise_floor`).
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
        error=emitted_error(q[emitted], y[emitted]),
        floor=noise_floor(q[emitted]),
        coverage=float(len(np.unique(note[emitted])) / max(notes, 1)),
        log_loss=float(-np.where(y > 0, np.log(q), np.log1p(-q)).mean()) if q.size else 0.0,
        brier=float(np.square(q - y).mean()) if q.size else 0.0,
    )


def emitted_error(confidence: Float64, right: Float64, bins: int = BINS) -> float:
    """ECE over bins of equal mass: mean distance between confidence and share of right, by size of bin.

    Args:
        confidence: float64[tags].
        right: float64[tags], 0 or 1.
        bins: number of bins.
    """
    if not confidence.size:
        return 0.0
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(bins, confidence.size))
    return float(sum(abs((confidence[part] - right[part]).sum()) for part in parts) / confidence.size)


def noise_floor(confidence: Float64, bins: int = BINS, resamples: int = 1000, seed: int = 0) -> float:
    """The mean ECE that confidences would show were they exactly right: the truth is drawn y ~ Bernoulli(p).

    Args:
        confidence: float64[tags].
        bins: number of bins.
        resamples: how often the truth is drawn.
        seed: of the drawing.
    """
    if not confidence.size:
        return 0.0
    random = np.random.default_rng(seed)
    p = np.sort(confidence)
    starts = np.cumsum([0, *(len(part) for part in np.array_split(p, min(bins, p.size)))])[:-1]
    errors = []
    for _ in range(resamples):
        gaps = np.add.reduceat(p - (random.random(p.size) < p), starts)
        errors.append(np.abs(gaps).sum() / p.size)
    return float(np.mean(errors))
