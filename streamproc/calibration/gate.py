"""Fit the gate: what tells a right tag from what a note brings that belongs to no tag.

A logistic regression of the evidence on right tags of labelled notes against candidates of the same notes recalled
as if their tags had never been (:mod:`streamproc.calibration.outside`). Beside the evidence itself it hears how far
it is from what the tag's own notes usually bring. Where the gate opens is set on notes that the fit has not seen,
so that few right tags are lost for certain.
"""

from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt

from streamproc.calibration.figures import EMIT
from streamproc.calibration.logistic import fit_logistic
from streamproc.calibration.precision import lower_bound
from streamproc.calibration.sample import Sample
from streamproc.calibration.shapes import column_inputs, column_shape, named
from streamproc.calibration.typical import Typical
from streamproc.graph.evidence import FEATURES
from streamproc.inference.calibration import Evidence, Gate
from streamproc.inference.gate import TOLL

__all__ = ["LOST", "FittedGate", "GateFigures", "fit_gate"]

Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

LOST = 0.025
"""Share of the notes with a right tag that may lose one: its upper 95 % confidence bound stays below."""

LEAST_CAUGHT = 0.25
"""A gate must hold back so large a share of the notes that get a tag and should not; else it is not worth its losses."""

FOLDS = 5

_RAMP = 0.5
"""Scores between closed and open: the logit of being a right tag moves by so much."""

_LEAST_CONFIDENCE = 0.1
"""Candidates below it are emitted by nobody, with a gate or without."""

_LEAST_ROWS = 100  # of either sort: with fewer there is nothing to learn
_RIDGE = 30.0  # as for the terms of the map

_LEFT_OUT = frozenset({"vote_model", "judged_for", "judged_against", "voters", "tags_a_note"})
"""Columns that taking tags away changes by itself, or that people's judgements fill, which history lacks."""


class GateFigures(msgspec.Struct, frozen=True):
    """What a gate does, on notes that were held out.

    Attributes:
        outside: notes that were recalled as if their tags had never been, and have candidates.
        untagged_before: share of them that get no tag from .5 on without the gate.
        untagged: and with it.
        lost: share of the notes with a right tag that lose one by it.
    """

    outside: int
    untagged_before: float
    untagged: float
    lost: float


@dataclass(frozen=True, slots=True)
class FittedGate:
    """A gate and what it does.

    Attributes:
        gate: fitted to all notes.
        figures: of notes that were held out.
        held_out: float64[rows], confidences of the sample behind a gate that was fitted to other notes.
    """

    gate: Gate
    figures: GateFigures
    held_out: Float64


def fit_gate(
    inside: Sample, confidence: Float64, outside: Sample, confidence_outside: Float64
) -> FittedGate | None:
    """The gate for these notes; None where there is too little to learn from, or no gate is worth its losses.

    Args:
        inside: labelled notes.
        confidence: float64[rows], of their candidates, held out.
        outside: the same notes, in the same order, recalled as if their tags had never been.
        confidence_outside: float64[rows], of their candidates.
    """
    right = inside.right & (confidence >= _LEAST_CONFIDENCE)
    wrong = confidence_outside >= _LEAST_CONFIDENCE
    if min(right.sum(), wrong.sum()) < _LEAST_ROWS:
        return None
    score, score_outside = np.zeros(len(inside.right)), np.zeros(len(outside.right))
    for fold in range(FOLDS):
        here, there = inside.note % FOLDS == fold, outside.note % FOLDS == fold
        fitted = _fit(inside, right & ~here, outside, wrong & ~there)
        score[here] = fitted.score(_evidence(inside, here))
        score_outside[there] = fitted.score(_evidence(outside, there))
    opens = _opening(score, confidence, inside)
    if opens is None:
        return None
    gate = msgspec.structs.replace(_fit(inside, right, outside, wrong), closes=opens - _RAMP, opens=opens)
    held_out = gate.lowered(confidence, score)
    behind = gate.lowered(confidence_outside, score_outside)
    figures = _figures(inside, confidence, held_out, outside, confidence_outside, behind)
    emitted_outside = 1 - figures.untagged_before
    caught = (figures.untagged - figures.untagged_before) / emitted_outside if emitted_outside else 0.0
    if caught < LEAST_CAUGHT:
        return None
    return FittedGate(gate, figures, held_out)


def _fit(inside: Sample, right: Bool, outside: Sample, wrong: Bool) -> Gate:
    """The gate's score by a regression on these rows; where it opens is not decided here."""
    typical = Typical.of(inside, right)
    evidence = np.concatenate([inside.evidence[right], outside.evidence[wrong]])
    tags = np.concatenate([inside.tag[right], outside.tag[wrong]])
    truth = np.concatenate([np.ones(right.sum()), np.zeros(wrong.sum())])
    heard = [name for name in FEATURES[: evidence.shape[1]] if name not in _LEFT_OUT]
    shapes = [each for name in heard if (each := column_shape(name, evidence, curved=True)) is not None]
    inputs = [np.ones((len(truth), 1)), *(column_inputs(each, evidence) for each in shapes)]
    inputs.append(typical.straight(evidence) - typical.usual(tags, evidence, len(truth) - int(wrong.sum())))
    table = np.concatenate(inputs, axis=1)
    ridge = np.full(table.shape[1], _RIDGE) / len(truth)
    ridge[0] = 0.0
    weights = fit_logistic(table, truth, towards=np.zeros(table.shape[1]), ridge=ridge)
    ends = np.cumsum([1, *(each.shape[1] for each in inputs[1:])])
    terms = [
        shape.term(weights[first:last]) for shape, (first, last) in zip(shapes, pairwise(ends), strict=False)
    ]
    own = weights[ends[-2] :]
    terms += [shape.term(own[place : place + 1]) for place, shape in enumerate(typical.shapes)]
    return Gate(
        float(weights[0]),
        tuple(terms),
        {tag: round(float(-deviation @ own), 4) for tag, deviation in typical.deviations().items()},
        -_RAMP,
        0.0,
    )


def _opening(score: Float64, confidence: Float64, inside: Sample) -> float | None:
    """The highest score at which the gate may open without losing too much; None: there is too little to say."""
    emitted = inside.right & (confidence >= EMIT)
    # A tag is lost where the gate leaves it less than EMIT, that is where it opens above this score.
    critical = score[emitted] + _RAMP * (1 / EMIT - 1 / confidence[emitted]) / TOLL
    notes, places = np.unique(inside.note[emitted], return_inverse=True)
    lowest = np.full(len(notes), np.inf)
    np.minimum.at(lowest, places, critical)
    allowed = _allowed(len(notes))
    return None if allowed is None else float(np.sort(lowest)[allowed])


def _allowed(notes: int) -> int | None:
    """How many of so many notes may lose a tag; None: not even that none did would prove that few do."""
    allowed = None
    for lost in range(notes):
        if 1 - lower_bound(notes - lost, notes) > LOST:
            break
        allowed = lost
    return allowed


def _figures(  # noqa: PLR0917 - two samples with their confidences before and behind the gate
    inside: Sample,
    confidence: Float64,
    behind: Float64,
    outside: Sample,
    confidence_outside: Float64,
    behind_outside: Float64,
) -> GateFigures:
    right = inside.right & (confidence >= EMIT)
    lost = right & (behind < EMIT)
    there = len(np.unique(outside.note))

    def untagged(values: Float64) -> float:
        return float(1 - len(np.unique(outside.note[values >= EMIT])) / max(there, 1))

    return GateFigures(
        outside=there,
        untagged_before=untagged(confidence_outside),
        untagged=untagged(behind_outside),
        lost=len(np.unique(inside.note[lost])) / max(len(np.unique(inside.note[right])), 1),
    )


def _evidence(sample: Sample, rows: Bool) -> Evidence:
    return named(sample.evidence[rows], sample.tag[rows].tolist())
