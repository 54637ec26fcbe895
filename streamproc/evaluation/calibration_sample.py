"""Labelled notes of a dataset as a sample to fit confidences to."""

import asyncio
from collections.abc import Callable, Sequence

from streamproc.calibration.outside import Twins, take_twins
from streamproc.calibration.sample import Labelled, Surroundings, draw, joined, take_sample
from streamproc.evaluation.dataset import Split
from streamproc.evaluation.prepared import Prepared
from streamproc.graph.evidence import FEATURES
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.protocols import Models

__all__ = ["dataset_sample", "even"]


def dataset_sample(
    prepared: Prepared,
    split: Split,
    thresholds: Thresholds,
    models: Models,
    *,
    most: int,
    features: int = len(FEATURES),
    outside: bool = True,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Twins:
    """Recall and judge labelled notes of one file, drawn at random, with and without their tags; train is the history.

    Args:
        prepared: the dataset.
        split: the file; a note of train does not recall itself.
        thresholds: of recall.
        models: of a bundle without its calibration map.
        most: how many notes at the most.
        features: how many columns of the evidence those models read.
        outside: whether they are also recalled as if their tags had never been.
        progress: told how many notes are done, and of how many.
    """
    notes = prepared.dataset.split(split)
    labelled = [place for place, each in enumerate(notes) if each.gold]
    places = [labelled[place] for place in draw(len(labelled), most)]
    drawn = [Labelled(notes[place].note, frozenset(notes[place].gold)) for place in places]
    vectors = prepared.vectors[split][places]
    around = Surroundings(
        prepared.graph, prepared.repository, prepared.judgements, thresholds, features=features
    )
    if outside:
        return asyncio.run(take_twins(drawn, vectors, around, models, progress))
    return Twins(asyncio.run(take_sample(drawn, vectors, around, models, progress)), None)


def even(samples: Sequence[Twins]) -> Twins:
    """All samples in one, of each as many notes as the smallest has: each dataset counts alike."""
    least = min(each.inside.notes for each in samples)
    outside = [each.outside.first(least) for each in samples if each.outside is not None]
    return Twins(
        joined(
            [each.inside.first(least) for each in samples]
        ),  # drawn at random: the first are as good as any
        joined(outside) if len(outside) == len(samples) else None,
    )
