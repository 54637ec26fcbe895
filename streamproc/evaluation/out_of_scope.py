"""Whether notes that belong to no tag get none: some tags leave repository and history, their notes stay."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from streamproc.errors import UserError
from streamproc.evaluation.dataset import Dataset, LabelledNote
from streamproc.evaluation.experiment import Experiment
from streamproc.evaluation.metrics import precision_at
from streamproc.evaluation.prepared import Prepared, without_tags
from streamproc.evaluation.report import OutOfScope
from streamproc.evaluation.scoring import Scored

__all__ = ["draw", "draw_for", "out_of_scope", "without_drawn"]


def out_of_scope(experiment: Experiment, whole: Scored, count: int, seed: int) -> tuple[OutOfScope, ...]:
    """Measure without some of the tags.

    Args:
        experiment: what is measured on.
        whole: its notes tagged with all tags in the repository.
        count: how many tags are taken out.
        seed: of the draw.

    Raises:
        UserError: as :func:`draw_for`.
    """
    gone = draw_for(experiment.prepared.dataset, experiment.notes, count, seed)
    smaller = without_tags(experiment.prepared, gone)
    scored = experiment.scored(
        experiment.recalled(experiment.hits(smaller), prepared=smaller), "out of scope"
    )
    outside = [place for place, each in enumerate(scored.notes) if each.gold <= gone]
    rest = [place for place, each in enumerate(scored.notes) if not each.gold <= gone]
    return (
        OutOfScope(
            seed=seed,
            tags=tuple(sorted(gone)),
            notes=len(outside),
            untagged=_untagged(scored, outside),
            rest=len(rest),
            rest_untagged=_untagged(scored, rest),
            accuracy=_first_right(scored, rest, emitted=True),
            accuracy_before=_first_right(whole, rest, emitted=True),
            first=_first_right(scored, rest, emitted=False),
            first_before=_first_right(whole, rest, emitted=False),
        ),
    )


def draw(dataset: Dataset, count: int, seed: int) -> frozenset[str]:
    """The tags that are taken out.

    Args:
        dataset: whose tags.
        count: how many.
        seed: of the draw.

    Raises:
        UserError: the set is no single-tag set, or has no more tags than that.
    """
    if not dataset.single_tag:
        raise UserError(
            f"notes of {dataset.name} have several tags: out of scope is measured where each has one"
        )
    tag_ids = sorted(tag.tag_id for tag in dataset.tags)
    if not 0 < count < len(tag_ids):
        raise UserError(f"{count} of {len(tag_ids)} tags cannot be taken out: choose fewer")
    return frozenset(
        tag_ids[place] for place in np.random.default_rng(seed).permutation(len(tag_ids))[:count]
    )


def draw_for(dataset: Dataset, notes: Sequence[LabelledNote], count: int, seed: int) -> frozenset[str]:
    """The tags that are taken out, where that leaves notes with a right tag and notes without one to compare.

    Args:
        dataset: whose tags.
        notes: that are scored, each with a right tag.
        count: how many tags.
        seed: of the draw.

    Raises:
        UserError: as :func:`draw`, or there is nothing to compare.
    """
    gone = draw(dataset, count, seed)
    outside = sum(each.gold <= gone for each in notes)
    if outside in {0, len(notes)}:
        raise UserError(f"the {count} tags taken out leave nothing to compare: try another seed or count")
    return gone


def without_drawn(prepared: Prepared, count: int, seed: int) -> Prepared:
    """The dataset as if the tags that :func:`out_of_scope` takes out had never been, for a map that is fitted to it.

    Notes of valid that had no other tag lose their label, and so are no labelled notes any more.

    Raises:
        UserError: as :func:`draw`.
    """
    gone = draw(prepared.dataset, count, seed)
    smaller = without_tags(prepared, gone)
    valid = tuple(replace(each, gold=each.gold - gone) for each in smaller.dataset.valid)
    return replace(smaller, dataset=replace(smaller.dataset, valid=valid))


def _untagged(scored: Scored, places: list[int]) -> float:
    emitted = scored.emitted
    return float(np.mean([not emitted[place] for place in places]))


def _first_right(scored: Scored, places: list[int], *, emitted: bool) -> float:
    tags = scored.emitted if emitted else scored.ranked
    gold = scored.gold
    return float(precision_at([tags[place] for place in places], [gold[place] for place in places], 1).mean())
