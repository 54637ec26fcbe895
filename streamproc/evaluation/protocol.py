"""The figures of one dataset: recall at 20 candidates, ranking, calibration, beside the baselines."""

import asyncio
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

import msgspec
import numpy as np

from streamproc.evaluation.baselines import MATCHING, VOTES, Trees, by_column, omikuji
from streamproc.evaluation.dataset import LabelledNote, Split
from streamproc.evaluation.metrics import (
    accuracy_at,
    brier,
    coverage_at,
    expected_calibration_error,
    hit_rate,
    ndcg_at,
    precision_at,
    right_candidates,
)
from streamproc.evaluation.prepared import Prepared, recall_all
from streamproc.evaluation.rankers import Ranker
from streamproc.graph.recall import Recalled
from streamproc.graph.thresholds import PAPER, Thresholds
from streamproc.inference.protocols import CandidateTag, Float32, Models, TaggingRequest
from streamproc.inference.text import note_text

__all__ = ["Calibration", "Ranking", "Recall", "Report", "confidences_of", "evaluate", "ranked_by"]

CANDIDATES = 20
"""At which recall is compared (LLM4Tag, 4)."""

EMIT = 0.5
"""Tags below this confidence are dropped (LLM4Tag, 3.3)."""


class Recall(msgspec.Struct, frozen=True):
    """How many right tags are among the candidates: #Right, HR#1–3, and how many candidates there were."""

    method: str
    right: float
    hit_rate_1: float
    hit_rate_2: float
    hit_rate_3: float
    candidates: float


class Ranking(msgspec.Struct, frozen=True):
    """How well the first tags are right: P@1, P@5, nDCG@5."""

    method: str
    precision_1: float
    precision_5: float
    ndcg_5: float


class Calibration(msgspec.Struct, frozen=True):
    """Whether confidences can be relied on, and what is emitted at confidence .5.

    ``ece`` and ``brier`` are over all candidates, ``emitted_*`` over the tags emitted.
    """

    ece: float
    brier: float
    emitted_a_note: float
    emitted_precision: float
    emitted_confidence: float
    accuracy: tuple[float, float, float]
    coverage: tuple[float, float, float]


class Report(msgspec.Struct, frozen=True):
    """All figures of one dataset."""

    dataset: str
    split: str
    bundle: str
    notes: int
    tags: int
    history: int
    recall: tuple[Recall, ...]
    ranking: tuple[Ranking, ...]
    calibration: Calibration


def evaluate(
    prepared: Prepared,
    models: Models,
    thresholds: Thresholds,
    *,
    bundle: str,
    split: Split = Split.TEST,
    trees: Sequence[Trees] = tuple(Trees),
    extra_rankers: Sequence[Ranker] = (),
    progress: Callable[[str], None] = lambda _line: None,
) -> Report:
    """Measure a bundle on one file of a dataset.

    Args:
        prepared: the dataset; its history is train.
        models: tagger and calibrator of the bundle.
        thresholds: of its recall.
        bundle: what to call it in the report.
        split: which notes are scored; choose on valid, run test to report.
        trees: which Omikuji baselines to train.
        extra_rankers: other methods that choose among the same candidates.
        progress: told what is being done.

    Raises:
        UserError: trees are asked for and the ``baselines`` extra is not installed.
    """
    places = [place for place, each in enumerate(prepared.dataset.split(split)) if each.gold]
    notes = [prepared.dataset.split(split)[place] for place in places]
    gold = [each.gold for each in notes]
    progress(f"searching the graph for {len(notes)} notes")
    hits = prepared.graph.nearest(
        prepared.vectors[split][places], tags=thresholds.nearest_tags, notes=thresholds.nearest_notes
    )

    def recalled_by(chosen: Thresholds) -> list[Recalled]:
        return recall_all(notes, hits, prepared.repository, chosen)

    progress("recall")
    matching, votes = recalled_by(MATCHING), recalled_by(VOTES)
    recall = (
        _recall("matching", matching, gold),
        _recall("neighbour votes", votes, gold),
        _recall("paper's constants", recalled_by(PAPER), gold),
        _recall("streamproc", recalled_by(replace(thresholds, candidates=CANDIDATES)), gold),
    )
    progress("ranking")
    recalled = recalled_by(thresholds)
    confidences = confidences_of(notes, recalled, models)
    ranked = ranked_by(recalled, confidences)
    ranking = [
        _ranking("matching", by_column(matching, "cosine"), gold),
        _ranking("neighbour votes", by_column(votes, "vote_sharp"), gold),
    ]
    for kind in trees:
        progress(f"training Omikuji {kind.value}")
        ranking.append(_ranking(f"omikuji {kind.value}", omikuji(prepared.dataset, notes, kind), gold))
    for ranker in extra_rankers:
        progress(f"ranking by {ranker.name}")
        ranking.append(_ranking(ranker.name, ranker.rank(notes, recalled), gold))
    ranking.append(_ranking("streamproc", ranked, gold))
    return Report(
        dataset=prepared.dataset.name,
        split=split.value,
        bundle=bundle,
        notes=len(notes),
        tags=len(prepared.dataset.tags),
        history=len(prepared.dataset.train),
        recall=recall,
        ranking=tuple(ranking),
        calibration=_calibration(recalled, confidences, gold),
    )


def confidences_of(
    notes: Sequence[LabelledNote], recalled: Sequence[Recalled], models: Models
) -> list[Float32]:
    """The confidence of each candidate of each note, float32[candidates] a note."""
    requests = [
        TaggingRequest(
            note_text=note_text(each.note),
            candidates=tuple(
                CandidateTag(tag_id=tag.tag_id, name=tag.name, definition=tag.description)
                for tag in found.tags
            ),
            evidence=found.evidence,
        )
        for each, found in zip(notes, recalled, strict=True)
    ]

    async def judge() -> list[Float32]:
        return await models.calibrator.judge(requests, await models.tagger.score(requests))

    return asyncio.run(judge())


def ranked_by(recalled: Sequence[Recalled], scores: Sequence[Float32]) -> list[list[str]]:
    """Candidates of each note by falling score, ties in order of recall."""
    return [
        [found.tags[place].tag_id for place in np.argsort(-score, kind="stable")]
        for found, score in zip(recalled, scores, strict=True)
    ]


def _recall(method: str, recalled: Sequence[Recalled], gold: Sequence[AbstractSet[str]]) -> Recall:
    candidates = [[tag.tag_id for tag in each.tags] for each in recalled]
    right = right_candidates(candidates, gold)
    return Recall(
        method,
        right=float(right.mean()),
        hit_rate_1=hit_rate(right, 1),
        hit_rate_2=hit_rate(right, 2),
        hit_rate_3=hit_rate(right, 3),
        candidates=float(np.mean([len(each) for each in candidates])),
    )


def _ranking(method: str, ranked: Sequence[Sequence[str]], gold: Sequence[AbstractSet[str]]) -> Ranking:
    return Ranking(
        method,
        precision_1=float(precision_at(ranked, gold, 1).mean()),
        precision_5=float(precision_at(ranked, gold, 5).mean()),
        ndcg_5=float(ndcg_at(ranked, gold, 5).mean()),
    )


def _calibration(
    recalled: Sequence[Recalled], confidences: Sequence[Float32], gold: Sequence[AbstractSet[str]]
) -> Calibration:
    right = np.array([tag.tag_id in g for found, g in zip(recalled, gold, strict=True) for tag in found.tags])
    every = np.concatenate(confidences)
    emitted = [
        [
            tag
            for tag, confidence in zip(tags, sorted(scores, reverse=True), strict=True)
            if confidence >= EMIT
        ]
        for tags, scores in zip(ranked_by(recalled, confidences), confidences, strict=True)
    ]
    chosen = every >= EMIT
    accuracy = [accuracy_at(emitted, gold, k) for k in (1, 2, 3)]
    first, second, third = (float(each.mean()) if each.size else 0.0 for each in accuracy)
    return Calibration(
        ece=expected_calibration_error(every, right),
        brier=brier(every, right),
        emitted_a_note=float(chosen.sum() / len(recalled)),
        emitted_precision=float(right[chosen].mean()) if chosen.any() else 0.0,
        emitted_confidence=float(every[chosen].mean()) if chosen.any() else 0.0,
        accuracy=(first, second, third),
        coverage=(coverage_at(emitted, 1), coverage_at(emitted, 2), coverage_at(emitted, 3)),
    )
