"""Notes that belong to no tag, made from labelled history: a note recalled as if its own tags had never been.

History holds no such notes, yet the stream brings them, and a map that has only seen notes with a right tag trusts
what is merely the nearest. So each labelled note is recalled once more without its tags: they are no candidates,
nobody's label, and notes that carry no other are not there. What is left are the candidates that a note brings
whose tag the repository lacks, and all of them are wrong.
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np

from streamproc.calibration.sample import (
    BATCH,
    Labelled,
    Posed,
    Sample,
    Surroundings,
    joined,
    judged,
    take_sample,
)
from streamproc.graph.hits import Hits, NoteHit
from streamproc.graph.recall import recall
from streamproc.graph.sources import TagView
from streamproc.graph.uses import given_by_people
from streamproc.inference.protocols import Float32, Models

__all__ = ["NEAREST_NOTES", "Twins", "take_outside", "take_twins"]

NEAREST_NOTES = 512
"""Asked of the graph for each note; many carry its own tags and are left out."""

_MORE_TAGS = 16  # likewise


@dataclass(frozen=True, slots=True)
class Twins:
    """Labelled notes, and the same ones as if their tags had never been.

    Attributes:
        inside: as they are.
        outside: in the same order, without their tags; None: not taken.
    """

    inside: Sample
    outside: Sample | None


async def take_twins(
    labelled: Sequence[Labelled],
    vectors: Float32,
    surroundings: Surroundings,
    models: Models,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Twins:
    """Both samples of labelled notes; see :func:`streamproc.calibration.sample.take_sample` for the arguments."""
    count = len(labelled)
    inside = await take_sample(
        labelled, vectors, surroundings, models, lambda done, _all: progress(done, 2 * count)
    )
    outside = await take_outside(
        labelled, vectors, surroundings, models, lambda done, _all: progress(count + done, 2 * count)
    )
    return Twins(inside, outside)


async def take_outside(
    labelled: Sequence[Labelled],
    vectors: Float32,
    surroundings: Surroundings,
    models: Models,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Sample:
    """Recall and judge labelled notes as if their tags had never been; no candidate is right.

    A note has no candidates here where its own tags are all that is near: what would be left of its
    surroundings is no picture of a note whose tag nobody knows.

    Args:
        labelled: notes and their tags.
        vectors: float32[notes, dimension].
        surroundings: what they are recalled from.
        models: tagger and calibrator of a bundle *without* its calibration map.
        progress: told how many notes are done, and of how many.
    """
    thresholds, parts = surroundings.thresholds, []
    for start in range(0, len(labelled), BATCH):
        some = labelled[start : start + BATCH]
        hits = await surroundings.graph.search(
            vectors[start : start + BATCH],
            tags=thresholds.nearest_tags + _MORE_TAGS,
            notes=NEAREST_NOTES,
            segments=surroundings.segments,
        )
        posed = [_posed(each, found, surroundings) for each, found in zip(some, hits, strict=True)]
        parts.append(await judged(posed, models))
        progress(start + len(some), len(labelled))
    return joined(parts)


def _posed(each: Labelled, hits: Hits, surroundings: Surroundings) -> Posed:
    thresholds, tags = surroundings.thresholds, surroundings.tags
    left = _without(hits, each.note.note_id, each.gold, tags)
    if len(left.notes) < thresholds.neighbours and len(hits.notes) == NEAREST_NOTES:
        return Posed(each, (), np.zeros((0, surroundings.features), dtype=np.float32))
    recalled = recall(each.note, left, tags, surroundings.judgements, thresholds)
    # Its words may still bring a tag of its own. The others' evidence is the same without it.
    kept = [row for row, tag in enumerate(recalled.tags) if tag.tag_id not in each.gold]
    return Posed(each, [recalled.tags[row] for row in kept], recalled.evidence[kept, : surroundings.features])


def _without(hits: Hits, note_id: str, gone: AbstractSet[str], tags: TagView) -> Hits:
    """What a search for a note finds where these tags, and notes that carry no other, have never been.

    Nearly: what notes that carry no other contribute to the covariance and to the words of all is left in them, but for the
    note's own part.
    """

    def stays(tag_id: str) -> bool:
        tag = tags.resolve(tag_id)
        return tag is None or tag.tag_id not in gone

    own: AbstractSet[str] = frozenset()
    notes: list[NoteHit] = []
    for hit in hits.notes:
        if hit.note_id == note_id:
            own = given_by_people(hit.edges)
        edges = tuple(edge for edge in hit.edges if stays(edge.tag_id))
        if edges or not hit.edges:
            notes.append(hit if len(edges) == len(hit.edges) else hit._replace(edges=edges))
    names = [name for tag_id in gone for name in (tag_id, *tags.merged(tag_id))]
    return replace(
        hits,
        tags=tuple(hit for hit in hits.tags if stays(hit.tag_id)),
        notes=tuple(notes),
        likeness=None if hits.likeness is None else hits.likeness.without(names),
        wording=None if hits.wording is None else hits.wording.without(names),
        own=own,
    )
