"""Which form of map to use, chosen by cross-fitting: every figure is of notes that the fit has not seen."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from streamproc.calibration.figures import Figures, figures_of
from streamproc.calibration.forms import FORMS, Form, bend, fit_bends, logit_of, starting_beta
from streamproc.calibration.gate import GateFigures, fit_gate
from streamproc.calibration.sample import Sample, confidence_of
from streamproc.inference.calibration import CalibrationMap, Gated, UngatedMap, ungated

__all__ = ["LEAST_NOTES", "MOST_NOTES", "Fitted", "fit_confidences"]

Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

LEAST_NOTES = 50
"""With fewer labelled notes the map in force stays. On 50 a fitted one is about as good or better by Brier score, and far better where
labels differ in kind from those that the bundle was trained on."""

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
        form: how it is called; empty where that of the map in force stays.
        notes: labelled notes it was fitted to.
        before: figures of the map in force.
        after: figures of this map, cross-fitted.
        held_out: float64[rows], the confidence of each row of the sample by a fit to other notes.
        gate: figures of the gate behind the map; None: there is none.
    """

    calibration: CalibrationMap
    form: str
    notes: int
    before: Figures
    after: Figures
    held_out: Float64
    gate: GateFigures | None = None


@dataclass(frozen=True, slots=True)
class _Rival:
    """A form and its held-out logits."""

    name: str
    logits: Float64
    form: Form | None


def fit_confidences(sample: Sample, in_force: CalibrationMap, outside: Sample | None = None) -> Fitted:
    """Fit the calibration map to a sample of labelled history, and the gate behind it.

    The forms are tried from the simplest to the richest. One is taken where its log loss on held-out notes is
    lower than that of the best so far by a standard error, so that little data gives a simple map.

    Args:
        sample: labelled notes, recalled and judged without a map.
        in_force: the map of the bundle, which stays where no form is better, or where there are fewer than
            ``LEAST_NOTES`` notes.
        outside: the same notes, in the same order, as if their tags had never been; None: no gate is fitted.
    """
    labels = int(sample.right.sum())
    if sample.notes < LEAST_NOTES or not 0 < labels < len(sample.right):
        now = confidence_of(sample, in_force)
        before = _figures(sample, now)
        return Fitted(in_force, "", sample.notes, before, before, now)
    with threadpool_limits(
        1
    ):  # the sums are short: more threads wait for each other, the more so on a busy machine
        fitted = _fit_map(sample, in_force)
        if outside is not None:
            fitted = _with_gate(fitted, sample, outside)
    if fitted.form or fitted.gate:
        return fitted
    now = confidence_of(sample, in_force)
    return replace(fitted, calibration=in_force, after=fitted.before, held_out=now)


def _fit_map(sample: Sample, in_force: CalibrationMap) -> Fitted:
    base = ungated(in_force)
    probability = sample.probability.astype(np.float64)
    best = _Rival("", logit_of(base, probability, sample.evidence), None)
    held_out: dict[str, Float64] = {}
    for form in FORMS:
        best = _better(sample, best, _Rival(form.name, _held_out(sample, form, base, held_out), form))
    calibration = base
    if best.form is not None:
        calibration = best.form.fit(probability, sample.evidence, sample.right, starting_beta(base))
        if best.form.bent:
            calibration = bend(calibration, fit_bends(held_out[_key(best.form)], sample.right))
    confidence = _confidence(best.logits)
    before = _figures(sample, confidence_of(sample, in_force))
    return Fitted(calibration, best.name, sample.notes, before, _figures(sample, confidence), confidence)


def _with_gate(fitted: Fitted, sample: Sample, outside: Sample) -> Fitted:
    calibration = ungated(fitted.calibration)
    gate = fit_gate(sample, fitted.held_out, outside, confidence_of(outside, calibration))
    if gate is None:
        return fitted
    return replace(
        fitted,
        calibration=Gated(calibration, gate.gate),
        after=_figures(sample, gate.held_out),
        held_out=gate.held_out,
        gate=gate.figures,
    )


def _held_out(sample: Sample, form: Form, in_force: UngatedMap, held_out: dict[str, Float64]) -> Float64:
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


def _figures(sample: Sample, confidence: Float64) -> Figures:
    return figures_of(confidence, sample.right, sample.note, sample.notes)


def _confidence(logits: Float64) -> Float64:
    confidence: Float64 = 1 / (1 + np.exp(-logits))
    return confidence
