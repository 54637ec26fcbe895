"""Which form of map to use, chosen by cross-fitting: every figure is of notes that the fit has not seen."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from streamproc.calibration.figures import Figures, figures_of
from streamproc.calibration.forms import FORMS, Form, bend, fit_bends, logit_of, starting_beta
from streamproc.calibration.sample import Sample
from streamproc.inference.calibration import CalibrationMap

__all__ = ["LEAST_NOTES", "MOST_NOTES", "Fitted", "fit_confidences"]

Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

LEAST_NOTES = 150
"""With fewer labelled notes the map in force stays: on 150 the richest form already helps, on 50 it may not."""

MOST_NOTES = 3000
"""Drawn at random from a longer history: beyond it the map hardly changes, and judging them takes a minute or two."""

FOLDS = 5

_ERRORS_BETTER = 1.0
"""A richer form must beat the simpler one by so many standard errors of the difference a note; smoothed bins, which
leave the order of tags as it is, must merely beat the form that they follow."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A map and what it does, on notes that were held out.

    Attributes:
        calibration: the map; the one in force where none was better.
        form: how it is called; empty where the map in force stays.
        notes: labelled notes it was fitted to.
        before: figures of the map in force.
        after: figures of this form, cross-fitted.
    """

    calibration: CalibrationMap
    form: str
    notes: int
    before: Figures
    after: Figures
    held_out: Float64
    """float64[rows], the confidence of each row of the sample by a fit to other notes."""


@dataclass(frozen=True, slots=True)
class _Rival:
    """A form and its held-out logits."""

    name: str
    logits: Float64
    form: Form | None


def fit_confidences(sample: Sample, in_force: CalibrationMap) -> Fitted:
    """Fit the calibration map to a sample of labelled history.

    The forms are tried from the simplest to the richest. One is taken where its log loss on held-out notes is
    lower than that of the best so far by a standard error, so that little data gives a simple map.

    Args:
        sample: labelled notes, recalled and judged without a map.
        in_force: the map of the bundle, which stays where no form is better, or where there are fewer than
            ``LEAST_NOTES`` notes.
    """
    probability = sample.probability.astype(np.float64)
    now = _Rival("", logit_of(in_force, probability, sample.evidence), None)
    before = _figures(sample, now.logits)
    labels = int(sample.right.sum())
    if sample.notes < LEAST_NOTES or not 0 < labels < len(sample.right):
        return Fitted(in_force, "", sample.notes, before, before, _confidence(now.logits))
    with threadpool_limits(
        1
    ):  # the sums are short: more threads wait for each other, the more so on a busy machine
        best = now
        held_out: dict[str, Float64] = {}
        for form in FORMS:
            best = _better(sample, best, _Rival(form.name, _held_out(sample, form, in_force, held_out), form))
        if best.form is None:
            return Fitted(in_force, "", sample.notes, before, before, _confidence(now.logits))
        calibration = best.form.fit(probability, sample.evidence, sample.right, starting_beta(in_force))
        if best.form.bent:
            calibration = bend(calibration, fit_bends(held_out[_key(best.form)], sample.right))
    after = _figures(sample, best.logits)
    return Fitted(calibration, best.name, sample.notes, before, after, _confidence(best.logits))


def _held_out(sample: Sample, form: Form, in_force: CalibrationMap, held_out: dict[str, Float64]) -> Float64:
    """Logits of each row by a fit to the other folds; those before any bends are kept for the form with bends."""
    start, fold = starting_beta(in_force), sample.note % FOLDS
    if _key(form) not in held_out:
        logits = np.empty(len(sample.right))
        for number in range(FOLDS):
            out = fold == number
            fitted = form.fit(
                sample.probability[~out].astype(np.float64),
                sample.evidence[~out],
                sample.right[~out],
                start,
            )
            logits[out] = logit_of(fitted, sample.probability[out].astype(np.float64), sample.evidence[out])
        held_out[_key(form)] = logits
    logits = held_out[_key(form)]
    if not form.bent:
        return logits
    bent = np.empty_like(logits)
    for number in range(FOLDS):
        out = fold == number
        bends = fit_bends(logits[~out], sample.right[~out])
        bent[out] = bends.apply(logits[out])
    return bent


def _key(form: Form) -> str:
    return form.fit.__name__


def _better(sample: Sample, simpler: _Rival, richer: _Rival) -> _Rival:
    gain = _loss(simpler.logits, sample.right) - _loss(richer.logits, sample.right)
    a_note = np.bincount(sample.note, gain, minlength=sample.notes)
    error = a_note.std(ddof=1) / np.sqrt(sample.notes)
    follows = (
        richer.form is not None
        and simpler.form is not None
        and richer.form.bent
        and richer.form.fit is simpler.form.fit
    )
    return richer if a_note.mean() > (0.0 if follows else _ERRORS_BETTER * error) else simpler


def _loss(logits: Float64, right: Bool) -> Float64:
    return np.logaddexp(0, np.where(right, -logits, logits))


def _figures(sample: Sample, logits: Float64) -> Figures:
    return figures_of(_confidence(logits), sample.right, sample.note, sample.notes)


def _confidence(logits: Float64) -> Float64:
    confidence: Float64 = 1 / (1 + np.exp(-logits))
    return confidence
