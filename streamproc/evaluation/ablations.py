"""What each part is worth: the same notes with one part taken away."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec
import numpy as np

from streamproc.errors import UserError
from streamproc.evaluation.experiment import CANDIDATES, Experiment
from streamproc.evaluation.figures import headline
from streamproc.evaluation.metrics import (
    brier,
    expected_calibration_error,
    ndcg_at,
    paired_bootstrap,
    precision_at,
    right_candidates,
    tally,
)
from streamproc.evaluation.prepared import Prepared, with_tags
from streamproc.evaluation.report import Ablation
from streamproc.evaluation.scoring import EMIT, Scored, sigmoid
from streamproc.evaluation.vectors import VectorCache
from streamproc.graph.hits import Hits
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.text import tag_text
from streamproc.knowledge.repository import Repository

__all__ = ["ablations", "only"]

_DRAWS = 2_000


def ablations(
    experiment: Experiment, hits: Sequence[Hits], whole: Scored, cache: VectorCache | None
) -> tuple[Ablation, ...]:
    """Measure what is left without each part.

    Args:
        experiment: what is measured on.
        hits: what the graph found near each note.
        whole: the notes tagged with all parts in place.
        cache: embeds the tags without their definitions.

    Raises:
        UserError: there is no cache.
    """
    if cache is None:
        raise UserError("ablations embed the tags anew: give the vectors' cache")
    best = headline(whole.ranked, whole.gold, single_tag=experiment.prepared.dataset.single_tag)

    def row(name: str, scored: Scored) -> Ablation:
        return _row(name, scored, best, single_tag=experiment.prepared.dataset.single_tag)

    return (
        row("everything", whole),
        *(row(name, scored) for name, scored in _without(experiment, hits, whole, cache)),
    )


def _without(
    experiment: Experiment, hits: Sequence[Hits], whole: Scored, cache: VectorCache
) -> Iterator[tuple[str, Scored]]:
    alone = [replace(found, notes=(), likeness=None, wording=None) for found in hits]
    name = "no graph (no neighbours)"
    yield name, experiment.scored(experiment.recalled(alone), name)

    near = [replace(found, likeness=None) for found in hits]
    name = "no discriminant (the nearest notes alone)"
    yield name, experiment.scored(experiment.recalled(near), name)

    unworded = [replace(found, wording=None) for found in hits]
    name = "no words of labelled notes"
    yield name, experiment.scored(experiment.recalled(unworded), name)

    name = "no evidence"
    blind = [replace(found, evidence=np.zeros_like(found.evidence)) for found in whole.recalled]
    yield name, experiment.scored(blind, name)

    name = "no definitions"
    undefined = _undefined(experiment.prepared, cache)
    yield (
        name,
        experiment.scored(experiment.recalled(experiment.hits(undefined), prepared=undefined), name),
    )

    yield "no calibrator", replace(whole, confidences=[sigmoid(logits) for logits in whole.logits])

    wordless = _wordless(experiment.prepared)
    for name, thresholds, prepared in (
        ("C2T alone", only(experiment.thresholds, tags=True), wordless),
        ("C2C2T alone", only(experiment.thresholds, notes=True), wordless),
        ("lexical alone", only(experiment.thresholds, words=True), experiment.prepared),
    ):
        yield name, experiment.scored(experiment.recalled(hits, thresholds, prepared), name)


def _undefined(prepared: Prepared, cache: VectorCache) -> Prepared:
    """The tags without their definitions: in their vectors, in the lexical index, before the models."""
    tags = [msgspec.structs.replace(tag, description="") for tag in prepared.dataset.tags]
    return with_tags(prepared, tags, cache.vectors([tag_text(tag) for tag in tags]))


class _WordlessTags:
    """A repository whose tags cannot be found by their words."""

    def __init__(self, prepared: Prepared) -> None:
        self.resolve = prepared.repository.resolve
        self.merged = prepared.repository.merged
        self.segment_tags = prepared.repository.segment_tags
        self.lexical = Repository().snapshot().lexical


def _wordless(prepared: Prepared) -> Prepared:
    return replace(prepared, repository=_WordlessTags(prepared))


def only(
    thresholds: Thresholds, *, tags: bool = False, notes: bool = False, words: bool = False
) -> Thresholds:
    """One path open; the closed ones bring neither candidates nor evidence."""
    return replace(
        thresholds,
        max_content_tag=thresholds.max_content_tag if tags else 0,
        reserved_content_tag=thresholds.reserved_content_tag if tags else 0,
        reserved_unseen=thresholds.reserved_unseen if tags else 0,
        neighbours=thresholds.neighbours if notes else 0,
        max_likely=thresholds.max_likely if notes else 0,
        max_worded=thresholds.max_worded if notes else 0,
        max_lexical=thresholds.max_lexical if words else 0,
    )


def _row(
    name: str, scored: Scored, best: "np.ndarray[tuple[int], np.dtype[np.float64]]", *, single_tag: bool
) -> Ablation:
    ranked, gold = scored.ranked, scored.gold
    first_20 = [[tag.tag_id for tag in found.tags[:CANDIDATES]] for found in scored.recalled]
    every = np.concatenate([np.zeros(0), *scored.confidences])
    right = scored.right
    chosen = every >= EMIT
    told = tally(scored.emitted, gold)
    return Ablation(
        name,
        right=float(right_candidates(first_20, gold).mean()),
        candidates=float(np.mean([len(found.tags) for found in scored.recalled])),
        precision_1=float(precision_at(ranked, gold, 1).mean()),
        ndcg_5=float(ndcg_at(ranked, gold, 5).mean()),
        tags_a_note=told.emitted / len(gold),
        precision=told.precision,
        micro_f1=told.f1,
        ece=expected_calibration_error(every[chosen], right[chosen]),
        brier=brier(every, right),
        loss=paired_bootstrap(best, headline(ranked, gold, single_tag=single_tag), draws=_DRAWS),
    )
