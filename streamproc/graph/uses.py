"""On how many notes people put each tag: what tells a tag without a history from one that nobody near by uses.

Recall asks for every note, so the counts are kept in memory, and only as far as they matter: up to a few notes a tag.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet

from streamproc.events.graph import GraphTag, Provenance
from streamproc.graph.hits import Edge
from streamproc.graph.keys import split_note_key

__all__ = ["COUNTED", "TagUses", "corrected", "counted", "given_by_people"]

COUNTED = 4
"""Notes are counted up to here: whether a tag is new shows on the first few."""

_HELD = 16
"""Rows of a tag that are remembered, so that a deleted one is missed; a tag that had more has a history for good."""

_PEOPLE = frozenset({Provenance.HUMAN, Provenance.IMPORT, Provenance.AUTHOR})


def given_by_people(edges: Iterable[Edge | GraphTag]) -> frozenset[str]:
    """Ids of the tags that a note has by people's word: a judgement, an import, its author."""
    return frozenset([edge.tag_id for edge in edges if edge.weight > 0 and edge.provenance in _PEOPLE])


def corrected(given: AbstractSet[str], spoken: Mapping[str, bool]) -> frozenset[str]:
    """The tags of a note once people have judged some: what they confirmed is added, what they rejected taken away.

    Args:
        given: ids of the tags that it has by its edges.
        spoken: tag id → whether people find it right on this note.
    """
    if not spoken:
        return frozenset(given)
    return frozenset({*given, *(tag_id for tag_id, right in spoken.items() if right)}) - {
        tag_id for tag_id, right in spoken.items() if not right
    }


def counted(notes: Iterable[Collection[str]]) -> Mapping[str, int]:
    """Tag id → on how many of these notes it is, up to ``COUNTED``.

    Args:
        notes: the tags of each.
    """
    counts: Counter[str] = Counter()
    for tags in notes:
        counts.update(tags)
    return {tag_id: min(count, COUNTED) for tag_id, count in counts.items()}


class TagUses:
    """The counts of a graph whose rows come and go. What it was told twice it counts once.

    Memory grows with the tags, not with the notes: of each tag no more than ``_HELD`` rows are remembered.
    """

    def __init__(self) -> None:
        self._rows: dict[str, set[str]] = {}
        self._tags: dict[str, frozenset[str]] = {}
        self._settled: set[str] = set()
        self._counts: dict[str, int] = {}
        self._shown = False

    def put(self, key: str, tags: Collection[str]) -> None:
        """A row of a note was written, or, without tags, removed.

        Args:
            key: of the row; the rows of a note that stands in the graph twice count once.
            tags: those that it has by people's word.
        """
        before = self._tags.get(key, frozenset())
        for tag_id in before.difference(tags):
            self._rows[tag_id].discard(key)
            self._count(tag_id)
        held = frozenset(tag_id for tag_id in tags if tag_id not in self._settled)
        for tag_id in held - before:
            self._rows.setdefault(tag_id, set()).add(key)
            self._count(tag_id)
        self._remember(key, held)
        for tag_id in held:
            if len(self._rows[tag_id]) > _HELD:
                self._settle(tag_id)

    def counts(self) -> Mapping[str, int]:
        """Tag id → on how many notes people put it, up to ``COUNTED``; later changes do not reach it."""
        self._shown = True
        return self._counts

    def _count(self, tag_id: str) -> None:
        rows = self._rows[tag_id]
        count = COUNTED if len(rows) >= 2 * COUNTED else min(_notes(rows), COUNTED)
        if self._counts.get(tag_id, 0) == count:
            return
        if self._shown:
            self._counts, self._shown = self._counts.copy(), False
        if count:
            self._counts[tag_id] = count
        else:
            del self._counts[tag_id], self._rows[tag_id]

    def _settle(self, tag_id: str) -> None:
        self._settled.add(tag_id)
        for key in self._rows.pop(tag_id):
            self._remember(key, self._tags[key] - {tag_id})

    def _remember(self, key: str, tags: frozenset[str]) -> None:
        if tags:
            self._tags[key] = tags
        else:
            self._tags.pop(key, None)


def _notes(rows: Iterable[str]) -> int:
    return len({split_note_key(key)[0] for key in rows})
