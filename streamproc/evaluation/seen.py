"""Whether a bundle has met a dataset before: figures on what its models learned from are no figures of new notes."""

from streamproc.evaluation.dataset import Dataset, Split
from streamproc.inference.manifest import Manifest, TaggerSpec, Training, TrainingSet

__all__ = ["fitted_to", "models_learned_from", "tagger_learned_from"]


def tagger_learned_from(
    dataset: Dataset, split: Split, tagger: TaggerSpec, training: Training | None
) -> bool:
    """Whether tagger and calibrator learned from a file of a dataset: by its name, or by what it holds.

    Args:
        dataset: as it was read.
        split: which file.
        tagger: names the sets whose train it learned from.
        training: has the hashes of their files, as far as they were recorded.
    """
    named = split is Split.TRAIN and dataset.name in tagger.training_data
    return named or (training is not None and _holds(dataset, split, training.sets))


def models_learned_from(dataset: Dataset, manifest: Manifest) -> bool:
    """Whether tagger, calibrator or encoder learned from any notes of a dataset.

    A calibration map or recall that was merely fitted to it is another thing: see :func:`fitted_to`.
    """
    tagger, of_encoder = manifest.tagger, manifest.encoder.training
    return dataset.name in {each.name for each in of_encoder} or any(
        _holds(dataset, split, of_encoder)
        or (tagger is not None and tagger_learned_from(dataset, split, tagger, manifest.training))
        for split in Split
    )


def fitted_to(dataset: Dataset, manifest: Manifest) -> bool:
    """Whether the bundle says that its recall or its calibrator was fitted to a dataset of this name."""
    calibrator, recall = manifest.calibrator, manifest.recall
    return (calibrator is not None and dataset.name in calibrator.training_data) or (
        recall is not None and dataset.name in recall.fitted_on
    )


def _holds(dataset: Dataset, split: Split, sets: tuple[TrainingSet, ...]) -> bool:
    """Whether a file is the train of one of the sets, under whatever name."""
    digest = dataset.digests.get(split)
    return digest is not None and digest in {each.files.get(f"{Split.TRAIN}.jsonl") for each in sets}
