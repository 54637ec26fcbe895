"""What a bundle says of the data it learnt from, and whether a directory still holds them."""

from collections.abc import Sequence
from pathlib import Path

from streamproc.errors import UserError
from streamproc.evaluation.sources import SOURCES
from streamproc.inference.digest import sha256_file
from streamproc.inference.manifest import Training, TrainingSet

__all__ = ["find_sets", "training_set"]

_READ = ("train.jsonl", "valid.jsonl", "tags.jsonl")
"""Of a dataset: what models learn from, and what their first calibration map is fitted on."""


def training_set(directory: Path) -> TrainingSet:
    """What is to be recorded of a dataset.

    Args:
        directory: holds its files, which can be read.
    """
    name = directory.resolve().name
    known = SOURCES.get(name)
    return TrainingSet(
        name,
        "" if known is None else known.source,
        "" if known is None else known.licence,
        {file: sha256_file(directory / file) for file in _READ},
    )


def find_sets(training: Training, root: Path) -> Sequence[Path]:
    """The directories of the datasets that a bundle learnt from, in their order; every file is as it was.

    Args:
        training: what the bundle says of them.
        root: holds a directory for each.

    Raises:
        UserError: a file is missing, or is another one; names it and where the dataset is published.
    """
    for each in training.sets:
        for name, expected in each.files.items():
            file = root / each.name / name
            comes_from = f"; {each.name} comes from {each.source}" if each.source else ""
            try:
                actual = sha256_file(file)
            except OSError as error:
                raise UserError(f"{file} cannot be read ({error.strerror or error}){comes_from}") from None
            if actual != expected:
                raise UserError(
                    f"{file} has SHA-256 {actual[:12]}… where the bundle learnt from {expected[:12]}…{comes_from}"
                )
    return [root / each.name for each in training.sets]
