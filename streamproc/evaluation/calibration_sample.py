"""Labelled notes of datasets as a sample to fit confidences to, and the fit."""

import asyncio
from collections.abc import Callable, Sequence

from streamproc.calibration.choice import MOST_NOTES, fit_confidences
from streamproc.calibration.outside import Twins, take_twins
from streamproc.calibration.record import CalibrationRecord, record_of
from streamproc.calibration.sample import Labelled, Surroundings, draw, joined, take_sample
from streamproc.evaluation.dataset import Split
from streamproc.evaluation.prepared import NO_JUDGEMENTS, Prepared
from streamproc.graph.evidence import FEATURES
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.bundle import Bundle
from streamproc.inference.calibration import Identity
from streamproc.inference.calibration_file import map_of, models_digest, with_map
from streamproc.inference.onnx import load_models
from streamproc.inference.protocols import Models

__all__ = ["dataset_sample", "even", "fit_to_sample", "sample_of_datasets"]


def sample_of_datasets(
    prepared: Sequence[Prepared], split: Split, bundle: Bundle, threads: int, *, outside: bool = True
) -> Twins:
    """As many labelled notes of each dataset, ``MOST_NOTES`` at the most, judged by a bundle without its map.

    Args:
        prepared: the datasets; their train is the history.
        split: the file; notes of train are recalled as if they were new.
        bundle: its models judge.
        threads: runs at once; 0 for as many as there are cores available.
        outside: whether they are also recalled as if their tags had never been.

    Raises:
        BundleError: the bundle lacks a model.
    """
    models = load_models(with_map(bundle, Identity()), threads)
    thresholds = Thresholds.of(bundle.manifest.recall)
    features = len(bundle.manifest.tagger.features) if bundle.manifest.tagger else 0
    try:
        return even(
            [
                dataset_sample(
                    each, split, thresholds, models, most=MOST_NOTES, features=features, outside=outside
                )
                for each in prepared
            ]
        )
    finally:
        asyncio.run(models.close())


def fit_to_sample(twins: Twins, bundle: Bundle) -> CalibrationRecord:
    """The calibration map of these notes, its figures beside those of the bundle's own map.

    Args:
        twins: ``LEAST_NOTES`` or more.
        bundle: the one that judged them.
    """
    return record_of(fit_confidences(twins.inside, map_of(bundle), twins.outside), models_digest(bundle))


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
    # What was said of a note of train itself is its label: recalled as if it were new, it must not see it.
    judgements = NO_JUDGEMENTS if split is Split.TRAIN else prepared.judgements
    around = Surroundings(prepared.graph, prepared.repository, judgements, thresholds, features=features)
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
