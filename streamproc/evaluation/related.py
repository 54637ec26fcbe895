"""How well vectors find related notes: those that share two tags or more, or that people view together."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamproc.inference.protocols import Float32

__all__ = ["RelatedNotes", "measure_related", "sharing_tags"]

Places = npt.NDArray[np.int64]

# Queries searched at a time: their similarities to 35,000 notes take 36 MB.
_CHUNK = 256


@dataclass(frozen=True, slots=True)
class RelatedNotes:
    """What the nearest k notes hold; means over the queries that have a related note at all.

    Attributes:
        queries: how many have.
        recall: Recall@k: share of a query's related notes that are among its nearest k.
        attainable: the same over the most that k places can hold, min(k, related notes). Where a query
            has hundreds of them, Recall@k is small for every encoder.
        hit_rate: share of queries with a related note among the nearest k.
    """

    queries: int
    recall: float
    attainable: float
    hit_rate: float


def sharing_tags(
    queries: Sequence[AbstractSet[str]], corpus: Sequence[AbstractSet[str]], least: int = 2
) -> list[Places]:
    """For each query the places of the corpus that share ``least`` tags or more with it, ascending.

    Args:
        queries: tags of each query.
        corpus: tags of each note that may be found.
        least: tags in common; 1 for sets whose notes have one tag each.
    """
    users: dict[str, list[int]] = {}
    for place, tags in enumerate(corpus):
        for tag in tags:
            users.setdefault(tag, []).append(place)
    found = []
    for tags in queries:
        places = [np.array(users[tag], dtype=np.int64) for tag in tags if tag in users]
        shared = np.bincount(np.concatenate([np.zeros(0, dtype=np.int64), *places]))
        found.append(np.flatnonzero(shared >= least))
    return found


def measure_related(
    queries: Float32, corpus: Float32, related: Sequence[Places], k: int = 10
) -> RelatedNotes | None:
    """Search the corpus for each query by cosine and count the related notes among the nearest k.

    Args:
        queries: float32[queries, dimension], of unit length; none of them is in the corpus.
        corpus: float32[notes, dimension], of unit length.
        related: for each query the places of its related notes in the corpus.
        k: how many notes are looked at.

    Returns:
        None where no query has a related note.
    """
    asked = np.array([place for place, places in enumerate(related) if len(places)], dtype=np.int64)
    if not asked.size:
        return None
    right = np.zeros(len(asked))
    for start in range(0, len(asked), _CHUNK):
        chunk = asked[start : start + _CHUNK]
        similarities = queries[chunk] @ corpus.T
        nearest = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
        right[start : start + len(chunk)] = [
            np.isin(places, related[query]).sum() for query, places in zip(chunk, nearest, strict=True)
        ]
    all_related = np.array([len(related[query]) for query in asked])
    return RelatedNotes(
        queries=len(asked),
        recall=float((right / all_related).mean()),
        attainable=float((right / np.minimum(all_related, k)).mean()),
        hit_rate=float((right > 0).mean()),
    )
