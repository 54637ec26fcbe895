"""Labelled notes of a dataset as a sample to fit confidences to."""

import asyncio
from collections.abc import Callable, Sequence

from streamproc.calibration.sample import Labelled, Sample, Surroundings, draw, joined, take_sample
from streamproc.evaluation.dataset import Split
from streamproc.evaluation.prepared import Prepared
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
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Sample:
    """Recall and judge labelled notes of one file, drawn at random; train is the history.

    Args:
        prepared: the dataset.
        split: the file; a note of train does not recall itself.
        thresholds: of recall.
        models: of a bundle without its calibration map.
        most: how many notes at the most.
        progress: told how many notes are done, and of how many.
    """
    notes = prepared.dataset.split(split)
    labelled = [place for place, each in enumerate(notes) if each.gold]
    places = [labelled[place] for place in draw(len(labelled), most)]
    return asyncio.run(
        take_sample(
            [Labelled(notes[place].note, frozenset(notes[place].gold)) for place in places],
            prepared.vectors[split][places],
            Surroundings(prepared.graph, prepared.repository, prepared.judgements, thresholds),
            models,
            progress,
        )
    )


def even(samples: Sequence[Sample]) -> Sample:
    """All samples in one, of each as many notes as the smallest has: each dataset counts alike."""
    least = min(each.notes for each in samples)
    return joined([each.first(least) for each in samples])  # drawn at random: the first are as good as any
