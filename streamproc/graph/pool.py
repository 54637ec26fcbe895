"""The pool of tags that recall's paths lead to, and which neighbours stand behind each."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from streamproc.events.graph import Provenance
from streamproc.events.note import Note
from streamproc.events.tag import TagChange, TagPolicy
from streamproc.events.tagged import NeighbourEvidence
from streamproc.graph.hits import Edge, Hits
from streamproc.graph.sources import TagView
from streamproc.graph.uses import corrected, given_by_people
from streamproc.knowledge.lexical import LexicalMatch

__all__ = ["Pool", "Voter"]

# Looking up a member of an enum takes Python 3.11 as long as a turn of the innermost loop.
_MANUAL_ONLY = TagPolicy.MANUAL_ONLY


class Voter(NamedTuple):
    """A neighbour that people or models labelled, its edges that count, and what people said of its tags."""

    note_id: str
    similarity: float
    edges: Sequence[Edge]
    spoken: Mapping[str, bool]


class Pool:
    """Every tag that some path led to, each with a row; grows while the paths are walked."""

    __slots__ = (
        "cosines",
        "hits",
        "least_confidence",
        "likely",
        "named",
        "note",
        "own",
        "passages",
        "repository",
        "rows",
        "tags",
        "voters",
        "words",
    )

    def __init__(
        self,
        note: Note,
        hits: Hits,
        repository: TagView,
        spoken: Mapping[str, bool],
        least_confidence: float,
    ) -> None:
        self.note = note
        self.hits = hits
        self.repository = repository
        self.least_confidence = least_confidence
        self.tags: list[TagChange] = []
        self.rows: dict[str, int] = {}
        self.cosines: dict[int, float] = {}
        self.voters: list[Voter] = []
        self.passages: list[tuple[str, set[int]]] = []
        self.likely: list[int] = []
        # The tags that people gave this very note, where the graph has it already.
        self.own = _own(note, hits, spoken) if hits.own is None else hits.own
        self.words: LexicalMatch = repository.lexical.match(note.title, note.text)
        exact = self.words.exact
        # Names that stand in the note before words that merely resemble; the title before the text.
        self.named = sorted(
            ((tag_id, 2.0 if span.in_title else 1.0) for tag_id, span in exact.items()),
            key=lambda each: (-each[1], each[0]),
        )
        self.named += [each for each in self.words.best if each[0] not in exact]

    def row(self, tag_id: str) -> int:
        """The row of the tag that an id stands for; -1 for one that cannot be a candidate."""
        row = self.rows.get(tag_id)
        if row is None:
            tag = self.repository.resolve(tag_id)
            if tag is None or tag.policy is _MANUAL_ONLY:
                row = -1
            elif tag.tag_id == tag_id or (row := self.rows.get(tag.tag_id)) is None:
                row = self.rows[tag.tag_id] = len(self.tags)
                self.tags.append(tag)
            self.rows[tag_id] = row
        return row

    def admit_likely(self, tag_ids: Sequence[str]) -> None:
        """Tags that all labelled notes together speak for."""
        for tag_id in tag_ids:
            row = self.row(tag_id)
            if row >= 0 and row not in self.likely:
                self.likely.append(row)

    def names(self) -> list[tuple[str, ...]]:
        """The ids that stand for each tag: its own, then those merged into it."""
        merged = self.repository.merged
        return [(tag.tag_id, *merged(tag.tag_id)) for tag in self.tags]

    def carriers(self, row: int) -> Iterator[NeighbourEvidence]:
        """The neighbours that carry the tag, by a word that counts, nearest first."""
        for note_id, similarity, edges, spoken in self.voters:
            words = [Edge(tag_id, 1.0, Provenance.HUMAN) for tag_id, correct in spoken.items() if correct]
            words += [edge for edge in edges if edge.tag_id not in spoken]
            for tag_id, weight, provenance in words:
                heard = provenance is not Provenance.MODEL or weight >= self.least_confidence
                if heard and weight > 0 and self.rows.get(tag_id) == row:
                    yield NeighbourEvidence(
                        note_id=note_id,
                        similarity=min(similarity, 1.0),
                        weight=min(max(weight, 0.0), 1.0),
                        provenance=provenance,
                    )
                    break


def _own(note: Note, hits: Hits, spoken: Mapping[str, bool]) -> frozenset[str]:
    found = [hit for hit in hits.notes if hit.note_id == note.note_id]
    return corrected(given_by_people(edge for hit in found for edge in hit.edges), spoken if found else {})
