"""How tags fare that nobody has used yet: a share of the tags loses its labels in the history."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np

from streamproc.errors import UserError
from streamproc.evaluation.dataset import Dataset, LabelledNote
from streamproc.evaluation.experiment import CANDIDATES, Experiment
from streamproc.evaluation.figures import history_counts
from streamproc.evaluation.metrics import precision_at, tally
from streamproc.evaluation.prepared import Prepared, with_history, with_tags
from streamproc.evaluation.report import NewTags
from streamproc.evaluation.scoring import Scored
from streamproc.evaluation.vectors import VectorCache
from streamproc.inference.text import tag_text

__all__ = ["held_out_tags", "new_tags"]


def new_tags(
    experiment: Experiment, share: float, seed: int, cache: VectorCache | None
) -> tuple[NewTags, ...]:
    """Measure with definitions, then with names alone.

    Args:
        experiment: what is measured on.
        share: of the tags with a history; they lose it.
        seed: of the draw.
        cache: embeds the names alone.

    Raises:
        UserError: there is no cache, or as :func:`held_out_tags`.
    """
    if cache is None:
        raise UserError("new tags are embedded by their names alone: give the vectors' cache")
    dataset = experiment.prepared.dataset
    held_out = held_out_tags(dataset, experiment.notes, share, seed)
    without = with_history(
        experiment.prepared, [replace(each, gold=each.gold - held_out) for each in dataset.train]
    )
    seen = _used(dataset) - held_out
    rows = []
    for described, prepared in ((True, without), (False, _names_alone(without, held_out, cache))):
        hits = experiment.hits(prepared)
        at_20 = [
            frozenset(tag.tag_id for tag in found.tags)
            for found in experiment.recalled(
                hits, replace(experiment.thresholds, candidates=CANDIDATES), prepared
            )
        ]
        what = "new tags with definitions" if described else "new tags by name"
        scored = experiment.scored(experiment.recalled(hits, prepared=prepared), what)
        rows.append(_row(scored, at_20, held_out, seen, described=described, share=share, seed=seed))
    return tuple(rows)


def held_out_tags(dataset: Dataset, notes: Sequence[LabelledNote], share: float, seed: int) -> frozenset[str]:
    """The tags that lose their history.

    Args:
        dataset: whose tags.
        notes: that are scored.
        share: of the tags with a history.
        seed: of the draw.

    Raises:
        UserError: the share is not between 0 and 1, no tag has a history, or no note has a tag that was drawn.
    """
    if not 0 < share < 1:
        raise UserError(f"the share of tags to hold out is {share:g}: give one between 0 and 1, such as 0.1")
    used = sorted(_used(dataset))
    if not used:
        raise UserError("no tag has a history that could be held out: measure with a longer one")
    count = max(round(share * len(used)), 1)
    held_out = frozenset(used[place] for place in np.random.default_rng(seed).permutation(len(used))[:count])
    if not any(each.gold & held_out for each in notes):
        raise UserError(
            f"none of the {count} tags held out belongs to a note that is scored: try another seed"
        )
    return held_out


def _used(dataset: Dataset) -> frozenset[str]:
    return frozenset(history_counts(dataset))


def _names_alone(prepared: Prepared, held_out: frozenset[str], cache: VectorCache) -> Prepared:
    """The held-out tags without definition and synonyms; the others as they are."""
    tags = [
        msgspec.structs.replace(tag, description="", synonyms=()) if tag.tag_id in held_out else tag
        for tag in prepared.dataset.tags
    ]
    return with_tags(prepared, tags, cache.vectors([tag_text(tag) for tag in tags]))


def _row(
    scored: Scored,
    at_20: Sequence[frozenset[str]],
    held_out: frozenset[str],
    seen: frozenset[str],
    *,
    described: bool,
    share: float,
    seed: int,
) -> NewTags:
    def recall(tags: frozenset[str], among: Sequence[frozenset[str]]) -> float:
        wanted = sum(len(each.gold & tags) for each in scored.notes)
        found = sum(
            len(each.gold & tags & candidates) for each, candidates in zip(scored.notes, among, strict=True)
        )
        return found / wanted if wanted else 0.0

    concerned = [place for place, each in enumerate(scored.notes) if each.gold & held_out]
    gold = [scored.notes[place].gold for place in concerned]
    order = scored.ranked
    ranked = [order[place] for place in concerned]
    told = tally(
        [[tag for tag in tags if tag in held_out] for tags in scored.emitted],
        [each.gold & held_out for each in scored.notes],
    )
    new, old = recall(held_out, at_20), recall(seen, at_20)
    served = [frozenset(tags) for tags in order]
    return NewTags(
        described=described,
        share=share,
        seed=seed,
        tags=len(held_out),
        gold=told.gold,
        notes=len(concerned),
        recall_20=new,
        seen_recall_20=old,
        ratio=new / old if old else 0.0,
        recall_served=recall(held_out, served),
        seen_recall_served=recall(seen, served),
        emitted=told.emitted,
        precision=told.precision,
        emitted_recall=told.recall,
        precision_1=float(precision_at(ranked, gold, 1).mean()),
        precision_1_new=float(
            precision_at([[tag for tag in tags if tag in held_out] for tags in ranked], gold, 1).mean()
        ),
    )
