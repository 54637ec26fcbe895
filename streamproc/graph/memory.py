"""An exact graph in memory: the same answers as the stored one, for training and evaluation."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from streamproc.graph.discriminant import Discriminant, Likeness, TagSums
from streamproc.graph.hits import Edge, Hits, NoteHit, SegmentHit, Spoken, TagHit
from streamproc.graph.uses import corrected, counted, given_by_people
from streamproc.graph.wording import NO_WORDS, WordCounts, WordModel, Words

__all__ = ["MemoryGraph"]

Float32 = npt.NDArray[np.float32]

# Vectors searched at a time: their similarities to a graph of 35,000 notes take 36 MB.
_CHUNK = 256

_SUMMED = 4096  # notes whose labels are counted at a time

_DIGITS = 5  # to which similarities are rounded, as ``hits.Hits`` has it
_SURPLUS = 4  # taken beyond those wanted, so that ties at the end fall the same way however rounding fell


class MemoryGraph:
    """Vertices in arrays, searched exactly.

    Args:
        tag_ids: ids of the tags.
        tag_vectors: float32[tags, dimension], of unit length.
        note_ids: ids of the notes.
        note_vectors: float32[notes, dimension], of unit length.
        edges: deterministic edges of each note.
        words: of each note; None: they are not known.
        segment_ids: ids of the passages.
        segment_vectors: float32[segments, dimension]; None: there are none.
    """

    def __init__(
        self,
        *,
        tag_ids: Sequence[str],
        tag_vectors: Float32,
        note_ids: Sequence[str],
        note_vectors: Float32,
        edges: Sequence[tuple[Edge, ...]],
        words: Sequence[Words] | None = None,
        segment_ids: Sequence[str] = (),
        segment_vectors: Float32 | None = None,
    ) -> None:
        self._tag_ids = list(tag_ids)
        self._tag_vectors = tag_vectors
        self._note_ids = list(note_ids)
        self._note_vectors = note_vectors
        self._edges = list(edges)
        self._words = [NO_WORDS] * len(self._note_ids) if words is None else list(words)
        self._segment_ids = list(segment_ids)
        self._segment_vectors = segment_vectors
        self._uses: Mapping[str, int] | None = None
        self._discriminant: Discriminant | None = None
        self._wording: WordModel | None = None
        self._judgements: Spoken | None = None

    def append(
        self,
        note_ids: Sequence[str],
        vectors: Float32,
        edges: Sequence[tuple[Edge, ...]],
        words: Sequence[Words] | None = None,
    ) -> None:
        """Add notes, as the write-back does."""
        self._note_ids += note_ids
        self._note_vectors = np.concatenate([self._note_vectors, vectors])
        self._edges += edges
        self._words += [NO_WORDS] * len(note_ids) if words is None else words
        if any(given_by_people(each) for each in edges):
            self._uses = None

    def relabel(self, place: int, edges: tuple[Edge, ...]) -> None:
        """Replace the edges of the note at this place."""
        if given_by_people(edges) != given_by_people(self._edges[place]):
            self._uses = None
        self._edges[place] = edges

    def hear(self, judgements: Spoken) -> None:
        """Let people's judgements count, from the next search on; see ``hits.Graph``."""
        before = 0 if self._judgements is None else self._judgements.spoken
        self._judgements = judgements
        if judgements.spoken > before:
            self._uses = None

    async def search(self, vectors: Float32, *, tags: int, notes: int, segments: int) -> list[Hits]:
        """Find the nearest vertices of each vector; see ``hits.Graph``."""
        return self.nearest(vectors, tags=tags, notes=notes, segments=segments)

    def nearest(self, vectors: Float32, *, tags: int, notes: int, segments: int = 0) -> list[Hits]:
        """The same outside an event loop."""
        if self._uses is None:
            self._hear_people()
        found: list[Hits] = []
        for start in range(0, len(vectors), _CHUNK):
            chunk = vectors[start : start + _CHUNK]
            near_tags = _top(chunk @ self._tag_vectors.T, tags, self._tag_ids)
            near_notes = _top(chunk @ self._note_vectors.T, notes, self._note_ids)
            near_segments: list[list[tuple[float, int]]] = [[] for _ in chunk]
            likenesses: Sequence[Likeness | None] = [None] * len(chunk)
            if self._discriminant is not None:
                likenesses = self._discriminant.likenesses(chunk)
            if segments and self._segment_vectors is not None:
                near_segments = _top(chunk @ self._segment_vectors.T, segments, self._segment_ids)
            found += [
                Hits(
                    tags=tuple([TagHit(self._tag_ids[place], similarity) for similarity, place in of_tags]),
                    notes=tuple(
                        [
                            NoteHit(self._note_ids[place], similarity, self._edges[place])
                            for similarity, place in of_notes
                        ]
                    ),
                    segments=tuple(
                        [
                            SegmentHit(self._segment_ids[place], similarity)
                            for similarity, place in of_segments
                        ]
                    ),
                    uses=self._uses,
                    likeness=likeness,
                    wording=self._wording,
                )
                for of_tags, of_notes, of_segments, likeness in zip(
                    near_tags, near_notes, near_segments, likenesses, strict=True
                )
            ]
        return found

    def _hear_people(self) -> None:
        """What people's labels say: how often each tag is used, on what notes, and in what words."""
        labels = [given_by_people(edges) for edges in self._edges]
        if (judgements := self._judgements) is not None:
            labels = [
                corrected(tags, judgements.of(note_id))
                for note_id, tags in zip(self._note_ids, labels, strict=True)
            ]
        labelled = [place for place, tags in enumerate(labels) if tags]
        sums, counts = TagSums(self._note_vectors.shape[1]), WordCounts()
        for start in range(0, len(labelled), _SUMMED):
            some = labelled[start : start + _SUMMED]
            sums.add([labels[place] for place in some], self._note_vectors[some])
            worded = [place for place in some if len(self._words[place].numbers)]
            counts.add([labels[place] for place in worded], [self._words[place] for place in worded])
        self._uses, self._discriminant, self._wording = counted(labels), sums.discriminant(), counts.model()


def _top(similarities: Float32, count: int, ids: Sequence[str]) -> list[list[tuple[float, int]]]:
    """For each row the nearest (similarity, place), nearest first, ties in order of id."""
    width = similarities.shape[1]
    if not width or count <= 0:
        return [[] for _ in similarities]
    taken = count + _SURPLUS
    if width > taken:
        places = np.argpartition(similarities, width - taken, axis=1)[:, width - taken :]
    else:
        places = np.broadcast_to(np.arange(width), similarities.shape)
    values = np.take_along_axis(similarities, places, axis=1).astype(np.float64)
    rounded = np.clip(np.round(values, _DIGITS), -1.0, 1.0)
    return [
        sorted(zip(row, row_places, strict=True), key=lambda each: (-each[0], ids[each[1]]))[:count]
        for row, row_places in zip(rounded.tolist(), places.tolist(), strict=True)
    ]
