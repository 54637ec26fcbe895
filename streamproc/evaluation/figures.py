"""From notes that were tagged to the figures of a report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
import numpy.typing as npt

from streamproc.evaluation.competitor import Tempered
from streamproc.evaluation.dataset import Dataset
from streamproc.evaluation.metrics import (
    Tally,
    accuracy_at,
    area_under_risk_coverage,
    brier,
    brier_skill,
    calibration_interval,
    calibration_noise,
    coverage_at,
    expected_calibration_error,
    f1_at,
    hit_rate,
    macro_f1,
    ndcg_at,
    paired_bootstrap,
    precision_at,
    reliability,
    right_candidates,
    risk_coverage,
    tally,
)
from streamproc.evaluation.report import Bucket, Confidence, Emission, Ranking, Recall, Verdict
from streamproc.evaluation.scoring import EMIT, Scored
from streamproc.inference.protocols import Float32

__all__ = [
    "BUCKETS",
    "buckets",
    "confidence",
    "emission",
    "headline",
    "history_counts",
    "ranking",
    "recall",
    "verdict",
]

Gold = Sequence[AbstractSet[str]]

BUCKETS: tuple[tuple[int, int | None], ...] = ((0, 0), (1, 4), (5, 19), (20, 99), (100, None))
"""How often a tag stands in the history: never, a few times, …"""

_DRAWS = 2_000


def recall(method: str, candidates: Sequence[Sequence[str]], gold: Gold) -> Recall:
    """How many right tags are among the candidates."""
    right = right_candidates(candidates, gold)
    return Recall(
        method,
        right=float(right.mean()),
        hit_rate_1=hit_rate(right, 1),
        hit_rate_2=hit_rate(right, 2),
        hit_rate_3=hit_rate(right, 3),
        candidates=float(np.mean([len(each) for each in candidates])),
    )


def headline(ranked: Sequence[Sequence[str]], gold: Gold, *, single_tag: bool) -> npt.NDArray[np.float64]:
    """The figure a set is judged by, float64[notes]: P@1 where notes have one tag, else nDCG@5."""
    return precision_at(ranked, gold, 1) if single_tag else ndcg_at(ranked, gold, 5)


def ranking(
    method: str,
    ranked: Sequence[Sequence[str]],
    gold: Gold,
    *,
    single_tag: bool,
    best: Sequence[Sequence[str]] | None = None,
) -> Ranking:
    """How well the first tags are right.

    Args:
        method: what gave the order.
        ranked: tags of each note, best first.
        gold: right tags of each.
        single_tag: whether notes have one tag.
        best: streamproc's order of the same notes; None: ``ranked`` is that.
    """

    def figure(values: npt.NDArray[np.float64]) -> float:
        return float(values.mean())

    behind = None
    if best is not None:
        ours, theirs = (headline(each, gold, single_tag=single_tag) for each in (best, ranked))
        behind = paired_bootstrap(ours, theirs, draws=_DRAWS)
    return Ranking(
        method,
        precision_1=figure(precision_at(ranked, gold, 1)),
        precision_3=figure(precision_at(ranked, gold, 3)),
        precision_5=figure(precision_at(ranked, gold, 5)),
        ndcg_3=figure(ndcg_at(ranked, gold, 3)),
        ndcg_5=figure(ndcg_at(ranked, gold, 5)),
        ndcg_10=figure(ndcg_at(ranked, gold, 10)),
        f1_5=figure(f1_at(ranked, gold, 5)),
        behind=behind,
    )


def emission(method: str, emitted: Sequence[Sequence[str]], gold: Gold) -> Emission:
    """What a consumer receives.

    Args:
        method: what gave the tags.
        emitted: tags of each note, best first.
        gold: right tags of each.
    """
    whole = tally(emitted, gold)
    firsts = [tags[:1] for tags in emitted]
    # A note has one place for a first tag, so there is one to be found however many tags are right.
    first = Tally(tally(firsts, gold).emitted, tally(firsts, gold).right, len(gold))
    accuracy = [accuracy_at(emitted, gold, k) for k in (1, 2, 3)]
    at_1, at_2, at_3 = (float(each.mean()) if each.size else 0.0 for each in accuracy)
    return Emission(
        method,
        tags_a_note=whole.emitted / len(gold),
        precision=whole.precision,
        recall=whole.recall,
        micro_f1=whole.f1,
        macro_f1=macro_f1(emitted, gold),
        accuracy=(at_1, at_2, at_3),
        coverage=(coverage_at(emitted, 1), coverage_at(emitted, 2), coverage_at(emitted, 3)),
        first_precision=first.precision,
        first_recall=first.recall,
        first_f1=first.f1,
    )


def confidence(method: str, scored: Scored, confidences: Sequence[Float32]) -> Confidence:
    """Whether these confidences in the candidates can be relied on.

    Args:
        method: where they come from.
        scored: the notes and their candidates.
        confidences: float32[candidates] a note.
    """
    every, right, notes = _joined(confidences), scored.right, scored.note_of
    chosen = every >= EMIT
    emitted, emitted_right = every[chosen], right[chosen]
    error = calibration_interval(emitted, emitted_right, notes[chosen])
    noise = calibration_noise(emitted)
    first, first_right = _firsts(confidences, right)
    return Confidence(
        method,
        emitted=int(chosen.sum()),
        precision=float(emitted_right.mean()) if emitted.size else 0.0,
        mean_confidence=float(emitted.mean()) if emitted.size else 0.0,
        ece=error,
        noise=noise,
        excess=error.mean - noise.mean,
        brier=brier(every, right),
        brier_skill=brier_skill(every, right),
        area=area_under_risk_coverage(every, right),
        first_area=area_under_risk_coverage(first, first_right),
        coverage_1=float(np.mean([bool((each >= EMIT).any()) for each in confidences])),
        reliability=reliability(emitted, emitted_right),
        risk_coverage=risk_coverage(every, right),
        first_risk_coverage=risk_coverage(first, first_right),
    )


def verdict(
    scored: Scored, ours: Confidence, plain: Confidence, competitor: Confidence, tempered: Tempered
) -> Verdict:
    """Which way to confidences is the better one on these notes.

    Args:
        scored: the notes, with the calibrator's confidences.
        ours: their figures.
        plain: the figures of the tagger's logits as they are.
        competitor: the figures of the tempered ones.
        tempered: the tagger's tempered confidences.
    """
    right, notes, count = scored.right, scored.note_of, len(scored.notes)

    def loss(confidences: Sequence[Float32]) -> npt.NDArray[np.float64]:
        summed = np.bincount(notes, np.square(_joined(confidences) - right), minlength=count)
        return (
            np.asarray(summed, dtype=np.float64) * count / max(len(right), 1)
        )  # so that the mean over notes is that over rows

    gain = paired_bootstrap(loss(tempered.confidences), loss(scored.confidences), draws=_DRAWS)
    area = competitor.area - ours.area
    if gain.low > 0 and area > 0:
        better = "calibrator"
    elif gain.high < 0 and area < 0:
        better = "temperature"
    else:
        better = "neither"
    return Verdict(
        temperature=tempered.temperature,
        fitted_on="the other half of the same notes",
        brier_gain=gain,
        area_gain=area,
        first_area_gain=competitor.first_area - ours.first_area,
        coverage_ratio=ours.coverage_1 / plain.coverage_1 if plain.coverage_1 else 1.0,
        better=better,
    )


def history_counts(dataset: Dataset) -> Counter[str]:
    """How often each tag stands in the history."""
    return Counter(tag_id for each in dataset.train for tag_id in each.gold)


def buckets(scored: Scored, tag_ids: Sequence[str], counts: Mapping[str, int]) -> tuple[Bucket, ...]:
    """The figures by how often tags stand in the history; buckets without a tag are left out.

    Args:
        scored: the notes.
        tag_ids: the repository.
        counts: tag id → how often it stands in the history.
    """
    every, right = _joined(scored.confidences), scored.right
    frequency = np.array([counts.get(tag.tag_id, 0) for found in scored.recalled for tag in found.tags])
    wanted = [counts.get(tag_id, 0) for g in scored.gold for tag_id in g]
    in_front = [
        counts.get(tag_id, 0)
        for tags, g in zip(scored.ranked, scored.gold, strict=True)
        for tag_id in tags[:5]
        if tag_id in g
    ]
    result = []
    for least, most in BUCKETS:
        within = _within(frequency, least, most)
        tags = int(_within([counts.get(tag_id, 0) for tag_id in tag_ids], least, most).sum())
        if not tags:
            continue
        gold = int(_within(wanted, least, most).sum())
        p, y = every[within], right[within]
        given, given_right = p[p >= EMIT], y[p >= EMIT]
        told = Tally(len(given), int(given_right.sum()), gold)
        result.append(
            Bucket(
                least,
                most,
                tags=tags,
                gold=gold,
                recalled=int(y.sum()) / gold if gold else 0.0,
                first_5=int(_within(in_front, least, most).sum()) / gold if gold else 0.0,
                emitted=told.emitted,
                precision=told.precision,
                f1=told.f1,
                scored=len(p),
                base_rate=float(y.mean()) if len(y) else 0.0,
                brier=brier(p, y),
                brier_skill=brier_skill(p, y),
                ece=expected_calibration_error(given, given_right),
                noise=calibration_noise(given).mean,
            )
        )
    return tuple(result)


def _within(counts: npt.ArrayLike, least: int, most: int | None) -> npt.NDArray[np.bool_]:
    values = np.asarray(counts, dtype=np.int64)
    return (values >= least) & (values <= (np.iinfo(np.int64).max if most is None else most))


def _joined(confidences: Sequence[Float32]) -> npt.NDArray[np.float64]:
    return np.concatenate([np.zeros(0), *confidences])


def _firsts(
    confidences: Sequence[Float32], right: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Confidence and truth of each note's first candidate; notes without candidates are left out."""
    starts = np.cumsum([0, *(len(each) for each in confidences)])
    rows = [
        start + int(np.argmax(each))
        for start, each in zip(starts[:-1], confidences, strict=True)
        if len(each)
    ]
    return _joined(confidences)[rows], right[rows]
