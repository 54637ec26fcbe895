"""What a search of the graph finds, and the Protocol of a graph that can be searched."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from streamproc.events.graph import Provenance
from streamproc.graph.discriminant import Likeness
from streamproc.graph.wording import WordModel

__all__ = ["Edge", "Graph", "Hits", "NoteHit", "SegmentHit", "Spoken", "TagHit"]


class Edge(NamedTuple):
    """A deterministic edge of a neighbour, as written; redirects and judgements are applied on reading."""

    tag_id: str
    weight: float
    provenance: Provenance


class TagHit(NamedTuple):
    """A tag near the note: cosine of their vectors."""

    tag_id: str
    similarity: float


class NoteHit(NamedTuple):
    """A note near the note, with its deterministic edges."""

    note_id: str
    similarity: float
    edges: tuple[Edge, ...]


class SegmentHit(NamedTuple):
    """A passage of knowledge near the note."""

    segment_id: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Hits:
    """Everything the graph finds for one note, each list nearest first, ties in order of id.

    ``uses`` says on how many notes people put a tag, up to ``uses.COUNTED``; a tag that is not in it is on none.
    None: the graph does not know. Every hit of a search shares one, which never changes.

    ``likeness`` says how much the note is like all the notes that people gave a tag to; None: there are none.

    ``wording`` tells what the words of all those notes say of a tag; None: there are none. All hits of a search share one.

    ``own`` are the tags that people gave the note itself, which must not speak for themselves; None: as its row among
    ``notes`` has it.

    Similarities are rounded to five digits before they are compared: the last bits of a product depend on
    how many vectors were multiplied at once, and must not change an order. Recall relies on both.
    """

    tags: tuple[TagHit, ...]
    notes: tuple[NoteHit, ...]
    segments: tuple[SegmentHit, ...] = ()
    uses: Mapping[str, int] | None = None
    likeness: Likeness | None = None
    wording: WordModel | None = None
    own: AbstractSet[str] | None = None


class Spoken(Protocol):
    """People's judgements as of one moment."""

    @property
    def spoken(self) -> int:
        """How many were made."""
        ...

    def of(self, note_id: str) -> Mapping[str, bool]:
        """Tag id → whether it is right, for the tags of this note on which people have spoken."""
        ...

    def since(self, spoken: int) -> AbstractSet[str]:
        """Ids of the notes that were judged after the first so many judgements."""
        ...


class Graph(Protocol):
    """A graph that can be searched. Milvus in production, exact numpy in training and evaluation."""

    def hear(self, judgements: Spoken) -> None:
        """Let people's judgements count in what all labelled notes say together (``uses``, ``likeness``, ``wording``).

        A confirmed tag counts as one that the note has, a rejected one no longer does: soon, not at once. What they say of
        a note near by is no matter of the graph; recall hears it in the same moment.

        Args:
            judgements: the latest; where nobody has spoken since the last call nothing is done.
        """
        ...

    async def search(self, vectors: np.ndarray, *, tags: int, notes: int, segments: int) -> Sequence[Hits]:
        """Find the nearest vertices of each vector, in one batched search per kind of vertex.

        A vector finds the same in any batch; see :class:`Hits` for the order.

        Args:
            vectors: float32[n, dimension], of unit length.
            tags: how many tags for each.
            notes: how many notes for each.
            segments: how many passages for each (0: none are searched).

        Raises:
            DependencyDownError: the graph cannot be reached.
            DeadlineError: it did not answer in time.
        """
        ...
