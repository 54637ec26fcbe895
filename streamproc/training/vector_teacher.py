"""A larger encoder that teaches a smaller one: how near it finds each note to the others and to their tags.

The student need not have the teacher's dimension: it learns the distribution over its batch, softened by the temperature, that the
teacher's cosines give (Hinton, Vinyals and Dean, *Distilling the Knowledge in a Neural Network*, 2015).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.evaluation.vectors import VectorCache
from streamproc.inference.protocols import Float32
from streamproc.training.note_set import NoteSet

__all__ = ["Taught", "VectorTeacher", "vector_teacher"]


@dataclass(frozen=True, slots=True)
class Taught:
    """What the teacher makes of one set.

    Attributes:
        notes: float32[notes of train, dimension of the teacher], of unit length.
        tags: float32[tags, dimension of the teacher], likewise.
    """

    notes: Float32
    tags: Float32


@dataclass(frozen=True, slots=True)
class VectorTeacher:
    """An encoder's vectors of everything that another learns from.

    Attributes:
        name: of its bundle.
        weights: SHA-256 of its file.
        sets: of each set.
    """

    name: str
    weights: str
    sets: tuple[Taught, ...]


def vector_teacher(name: str, weights: str, cache: VectorCache, sets: Sequence[NoteSet]) -> VectorTeacher:
    """Let an encoder read the notes and tags of some sets.

    Args:
        name: of its bundle.
        weights: SHA-256 of its file.
        cache: its vectors.
        sets: what the student learns from.
    """
    taught = [Taught(cache.vectors(each.texts), cache.vectors(each.tag_texts)) for each in sets]
    return VectorTeacher(name, weights, tuple(taught))
