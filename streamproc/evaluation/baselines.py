"""What every figure is compared with: matching, neighbour votes, and Omikuji on TF-IDF.

Each gives, for every note, tags in the order it would assign them. Omikuji (Parabel and Bonsai trees,
the strongest single backends of Annif) needs the ``baselines`` extra.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from streamproc.errors import UserError
from streamproc.evaluation.dataset import Dataset, LabelledNote
from streamproc.extras import how_to_install
from streamproc.graph.evidence import COLUMN
from streamproc.graph.recall import Recalled
from streamproc.graph.thresholds import PAPER
from streamproc.inference.text import note_text

__all__ = ["MATCHING", "VOTES", "Trees", "by_column", "learnable", "omikuji"]

MATCHING = replace(PAPER, delta_content_tag=-1.0, max_content_tag=20, max_neighbour_tag=0)
"""Recall by the nearest tags alone (the paper's match-based recall)."""

VOTES = replace(
    PAPER, delta_content_tag=-1.0, delta_content_content=-1.0, max_content_tag=0, max_neighbour_tag=20
)
"""Recall by weighted votes of the 50 nearest notes alone."""


class Trees(StrEnum):
    """The two kinds of label trees."""

    PARABEL = "parabel"
    BONSAI = "bonsai"


def by_column(recalled: Sequence[Recalled], name: str) -> list[list[str]]:
    """Candidates of each note ranked by one column of their evidence."""
    column = COLUMN[name]
    return [
        [each.tags[place].tag_id for place in np.argsort(-each.evidence[:, column], kind="stable")]
        for each in recalled
    ]


def learnable(dataset: Dataset) -> bool:
    """Whether a word of train stands in two labelled notes: with none, :func:`omikuji` has nothing to learn from.

    Needs the ``baselines`` extra.
    """
    from sklearn.feature_extraction.text import CountVectorizer  # noqa: PLC0415 - an extra

    words_of = CountVectorizer().build_analyzer()  # as TF-IDF reads them
    met: set[str] = set()
    for each in dataset.train:
        if each.gold:
            words = set(words_of(note_text(each.note)))
            if words & met:
                return True
            met |= words
    return False


def omikuji(
    dataset: Dataset, notes: Sequence[LabelledNote], trees: Trees, *, best: int = 20
) -> list[list[str]]:
    """Tags of each note by label trees on TF-IDF, trained on train.

    Raises:
        UserError: the ``baselines`` extra is not installed, or train has no word that stands in two notes.
    """
    try:
        import omikuji as library  # noqa: PLC0415 - an extra
        from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415
    except ImportError:
        raise UserError(
            f"Omikuji is not installed: {how_to_install('baselines')}, or leave the trees out"
        ) from None
    tags = {tag.tag_id: number for number, tag in enumerate(dataset.tags)}
    ids = list(tags)
    train = [each for each in dataset.train if each.gold]
    if not learnable(dataset):
        raise UserError(
            f"Omikuji has too few words to learn from in {len(train)} notes: leave it out (--no-baselines)"
        )
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2)
    inputs = vectorizer.fit_transform([note_text(each.note) for each in train]).tocsr()
    used = int((np.diff(inputs.indptr) > 0).sum())
    hyper = library.Model.default_hyper_param()
    if trees is Trees.BONSAI:  # as in Annif: wide, unbalanced, shallow
        hyper.cluster_balanced = False
        hyper.cluster_k = 100
        hyper.max_depth = 3
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "train.txt"
        with file.open("w") as lines:
            lines.write(f"{used} {inputs.shape[1]} {len(tags)}\n")
            for row, each in enumerate(train):
                labels = ",".join(str(tags[tag_id]) for tag_id in sorted(each.gold))
                start, end = inputs.indptr[row], inputs.indptr[row + 1]
                if start == end:  # the library reads no line without features
                    continue
                features = " ".join(
                    f"{index}:{value:.5f}"
                    for index, value in zip(inputs.indices[start:end], inputs.data[start:end], strict=True)
                )
                lines.write(f"{labels} {features}\n")
        with _silent():
            model = library.Model.train_on_data(str(file), hyper)
    asked = vectorizer.transform([note_text(each.note) for each in notes]).tocsr()
    ranked = []
    for row in range(asked.shape[0]):
        start, end = asked.indptr[row], asked.indptr[row + 1]
        words = list(zip(asked.indices[start:end].tolist(), asked.data[start:end].tolist(), strict=True))
        ranked.append([ids[label] for label, _ in model.predict(words, top_k=best)])
    return ranked


@contextmanager
def _silent() -> Iterator[None]:
    """Keeps what the library writes past Python, thousands of lines, off standard output and error."""
    kept = [os.dup(descriptor) for descriptor in _STANDARD]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for descriptor in _STANDARD:
            os.dup2(nowhere, descriptor)
        yield
    finally:
        for descriptor, copy in zip(_STANDARD, kept, strict=True):
            os.dup2(copy, descriptor)
            os.close(copy)
        os.close(nowhere)


_STANDARD = (1, 2)
