"""The three routes of every kind of tag, from a promised precision: accept, review, drop."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamproc.calibration.precision import KindThreshold, fit_threshold
from streamproc.calibration.sample import Sample

__all__ = ["KindRoutes", "Routes", "Yield", "fit_routes", "settings_fragment"]


Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class KindRoutes:
    """The thresholds of one kind.

    Attributes:
        kind: of tag.
        accept: from its threshold on tags are emitted; without one, nothing is promised for the kind.
        review: from its threshold to the other people decide; fitted to the tags that are not accepted.
    """

    kind: str
    accept: KindThreshold
    review: KindThreshold

    @property
    def review_threshold(self) -> float | None:
        """Where review begins; None: nothing is worth a look, or nothing is accepted."""
        return None if self.accept.threshold is None else self.review.threshold


@dataclass(frozen=True, slots=True)
class Yield:
    """What the routes give on the labelled notes: tags a note, and the share of notes with one or more."""

    tags_a_note: float
    notes_with_a_tag: float
    reviews_a_note: float


@dataclass(frozen=True, slots=True)
class Routes:
    """The thresholds of all kinds and what they yield; kinds without a threshold yield nothing here."""

    kinds: Sequence[KindRoutes]
    yields: Yield


def fit_routes(sample: Sample, confidence: Float64, target: float, review: float) -> Routes:
    """Fit both thresholds of each kind.

    Args:
        sample: labelled notes.
        confidence: float64[rows], by the map that will be in force; held out, where it was fitted to these notes.
        target: precision of what is accepted.
        review: precision of what is shown to people, which is what is not accepted: below it their time is wasted.
    """
    kinds = []
    accepted = np.zeros(len(confidence), dtype=np.bool_)
    waiting = np.zeros(len(confidence), dtype=np.bool_)
    for kind in sorted(set(sample.kind.tolist())):
        of_kind = sample.kind == kind
        accept = _fitted(sample, confidence, of_kind, target)
        # Nobody is shown what is accepted: its right tags must not make up for wrong ones among those for review.
        left = of_kind if accept.threshold is None else of_kind & (confidence < accept.threshold)
        routes = KindRoutes(kind, accept, _fitted(sample, confidence, left, review))
        kinds.append(routes)
        if routes.accept.threshold is not None:
            accepted |= of_kind & (confidence >= routes.accept.threshold)
            if routes.review_threshold is not None:
                waiting |= of_kind & (confidence >= routes.review_threshold) & ~accepted
    notes = max(sample.notes, 1)
    return Routes(
        kinds,
        Yield(
            float(accepted.sum() / notes),
            float(len(np.unique(sample.note[accepted])) / notes),
            float(waiting.sum() / notes),
        ),
    )


def _fitted(sample: Sample, confidence: Float64, rows: npt.NDArray[np.bool_], target: float) -> KindThreshold:
    return fit_threshold(confidence[rows], sample.right[rows], sample.note[rows], target)


def settings_fragment(routes: Routes) -> str:
    """Lines for ``streamproc.toml``; kinds without a threshold are left out.

    Where nothing is worth a look, both thresholds are the same: without the second, that of all kinds would hold.
    """
    blocks = []
    for each in routes.kinds:
        accept, review = each.accept.threshold, each.review_threshold
        if accept is not None:
            review = accept if review is None else review
            values = {"min_confidence": accept, "review_confidence": review}
            blocks.append(_block(f"kinds.{_key(each.kind)}", values))
    return "\n".join(blocks)


def _block(name: str, values: Mapping[str, float]) -> str:
    lines = [f"{key} = {value:g}\n" for key, value in values.items()]
    return "".join([f"[{name}]\n", *lines])


def _key(kind: str) -> str:
    return kind if re.fullmatch(r"[A-Za-z0-9_-]+", kind) else json.dumps(kind)
