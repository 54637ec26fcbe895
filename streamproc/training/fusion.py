"""Fits recall to an encoder and to data: which weights rank the union of the paths best.

A logistic regression of "the tag is right" on the evidence of everything that any path brings. It is
convex and deterministic, so the same data give the same weights. History is what people labelled, so the
weight of models' edges cannot be fitted to it: it stays as it is.
"""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from streamproc.calibration.logistic import fit_logistic
from streamproc.evaluation.prepared import Prepared
from streamproc.graph.discriminant import LIKENESS
from streamproc.graph.evidence import COLUMN, FEATURES
from streamproc.graph.thresholds import Thresholds
from streamproc.graph.wording import WORDING
from streamproc.inference.manifest import RecallFit
from streamproc.training.rows import Rows, history_rows, join

__all__ = ["fit_recall", "recall_fit"]

# Everything that the paths bring is a row; the cut to the candidates is what is being fitted.
_POOL = 100

_RIDGE = 1e-3  # of standardised inputs, a row

# Measures of a tag, in use for every tag whatever its history. Measures of the note alone take part in
# the fit, but are the same for all its candidates and rank nothing.
_RANKING = (
    "cosine",
    "best_neighbour",
    "vote_1",
    "vote_3",
    "vote_10",
    "vote_30",
    "vote_soft",
    "vote_sharp",
    "exact_title",
    "exact_text",
    "bm25",
    "name_rarity",
    "name_share",
    *LIKENESS[:-1],
    *WORDING,
)
_NOTE = ("nearest_note", "near_10", "near_50", "tags_a_note", "agreement", "note_words", LIKENESS[-1])


def fit_recall(
    prepared: Sequence[Prepared], thresholds: Thresholds, *, notes_a_set: int = 1500, seed: int = 0
) -> Thresholds:
    """The thresholds with fusion weights fitted to the histories of these datasets, each counting alike.

    Args:
        prepared: datasets; only their train is looked at.
        thresholds: what stays as it is.
        notes_a_set: labelled notes drawn from each.
        seed: of the draw.
    """
    random = np.random.default_rng(seed)
    wide = replace(thresholds, candidates=_POOL)
    rows = join([history_rows(each, wide, random, notes_a_set) for each in prepared])
    kept = {name: weight for name, weight in thresholds.fusion.items() if name == "vote_model"}
    return replace(thresholds, fusion=MappingProxyType(_weights(rows) | kept))


def recall_fit(thresholds: Thresholds, fitted_on: Sequence[str]) -> RecallFit:
    """The thresholds as a manifest records them."""
    return RecallFit(
        delta_content_tag=thresholds.delta_content_tag,
        delta_content_content=thresholds.delta_content_content,
        max_content_tag=thresholds.max_content_tag,
        max_neighbour_tag=thresholds.max_neighbour_tag,
        max_lexical=thresholds.max_lexical,
        sharpness=thresholds.sharpness,
        fusion=dict(thresholds.fusion),
        fitted_on=tuple(fitted_on),
    )


def _weights(rows: Rows) -> dict[str, float]:
    columns = [COLUMN[name] for name in (*_RANKING, *_NOTE)]
    inputs = rows.evidence[:, columns].astype(np.float64)
    mean, deviation = inputs.mean(axis=0), inputs.std(axis=0)
    varies = deviation > 1e-3
    z = np.zeros((len(inputs), len(columns) + 1))
    z[:, :-1][:, varies] = (inputs[:, varies] - mean[varies]) / deviation[varies]
    z[:, -1] = 1
    right = rows.right.astype(np.float64)
    solution = fit_logistic(z, right, towards=np.zeros(z.shape[1]), ridge=_RIDGE)[:-1]
    raw = np.where(varies, solution / np.maximum(deviation, 1e-3), 0)
    weights = {FEATURES[column]: round(float(weight), 3) for column, weight in zip(columns, raw, strict=True)}
    return {name: weights[name] for name in _RANKING if weights[name]}
