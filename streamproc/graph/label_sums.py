"""What labelled notes have taught so far: how often each tag is used, and sums of their vectors and words.

A note may stand in the graph in two rows, imported and streamed. It teaches once: all tags that its rows have, by the vector
and the words of the imported one where that counts, else of the streamed one. So it can be left out of what it taught as any
other note can. Nothing waits here and nothing is read: rows are told, and what they taught before comes along.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from streamproc.graph.discriminant import Discriminant, Float32, TagSums
from streamproc.graph.keys import rows_of_note
from streamproc.graph.uses import TagUses
from streamproc.graph.wording import WordCounts, WordModel, Words

__all__ = ["LabelSums", "Labels", "Taught"]


@dataclass(frozen=True, slots=True)
class Labels:
    """Some rows of notes and what people say of them.

    Attributes:
        keys: of the rows.
        tags: of each, the ids that it has by people's word; none: the row is gone or has no such tag.
        vectors: float32[rows, dimension]; those of rows without tags are not looked at.
        words: of each, as the row has them; likewise. None stand in a row that was written before words were stored.
    """

    keys: Sequence[str]
    tags: Sequence[frozenset[str]]
    vectors: Float32
    words: Sequence[Words]


class Taught(NamedTuple):
    """What a row that counts has taught, beside its tags.

    Attributes:
        vector: float32[dimension].
        words: none: the row was written before words were stored, and no word was counted.
    """

    vector: Float32
    words: Words


class _Lesson(NamedTuple):
    """What a note teaches: all its tags, by one of its rows."""

    row: str
    tags: frozenset[str]


class LabelSums:
    """The sums, and which rows count in them.

    Args:
        dimension: of the vectors.

    Attributes:
        tags: key of each row that counts → its tags.
    """

    def __init__(self, dimension: int) -> None:
        self.tags: dict[str, frozenset[str]] = {}
        self._uses = TagUses()
        self._sums = TagSums(dimension)
        self._words = WordCounts()

    def needed(self, written: Labels) -> list[str]:
        """The rows of which it must be known what they taught, before others are written or removed and ``put``."""
        told = self._counting(written)
        changes = self._changes(told)
        rows = [gone.row for gone, _ in changes if gone]
        rows += [come.row for _, come in changes if come and come.row not in told]
        return list(dict.fromkeys(rows))

    def read(self, page: Labels) -> list[str]:
        """Count rows as they stand in the graph, but those that were told already.

        Args:
            page: rows in order of key, as the pages are.

        Returns:
            Keys of rows that do not count yet: they change what a row of an earlier page taught. They are to be ``put``
            together with it.
        """
        new, left = [], []
        for place, (key, tags) in enumerate(zip(page.keys, page.tags, strict=True)):
            if not tags or key in self.tags:
                continue
            counted = self._lesson(rows_of_note(key))
            if counted is None:
                new.append((tags, Taught(page.vectors[place], page.words[place])))
            elif key < counted.row or not tags <= counted.tags:
                left.append(key)
                continue
            self._tell(key, tags)
        self._count(new, 1)
        return left

    def put(self, written: Labels, before: Mapping[str, Taught]) -> bool:
        """Count rows as they are now.

        Args:
            written: the rows; of equal keys the last counts.
            before: key → what it taught, of the rows that were ``needed``.

        Returns:
            Whether vectors and words say anything else now.
        """
        told = self._counting(written)
        changes = self._changes(told)
        now = {
            key: Taught(written.vectors[place], written.words[place])
            for place, key in enumerate(written.keys)
            if told.get(key)
        }
        # A row that another worker removed is not known as it was. What it is now is the best guess until the next reading.
        self._count(
            [(each.tags, before.get(each.row) or now.get(each.row)) for each, _ in changes if each], -1
        )
        self._count(
            [(each.tags, now.get(each.row) or before.get(each.row)) for _, each in changes if each], 1
        )
        for key, tags in told.items():
            self._tell(key, tags)
        return bool(changes)

    def uses(self) -> Mapping[str, int]:
        """Tag id → on how many notes people put it, as ``TagUses.counts`` has it."""
        return self._uses.counts()

    def models(self) -> tuple[Discriminant | None, WordModel | None]:
        """What vectors and words of the notes have in common; later changes do not reach it."""
        return self._sums.discriminant(), self._words.model()

    def _counting(self, written: Labels) -> dict[str, frozenset[str]]:
        """Key → tags of those of the rows that count, or did until now; most rows are nothing to us."""
        told = dict(zip(written.keys, written.tags, strict=True))
        return {key: tags for key, tags in told.items() if tags or key in self.tags}

    def _changes(self, told: Mapping[str, frozenset[str]]) -> list[tuple[_Lesson | None, _Lesson | None]]:
        """What notes teach, and what they will once rows are as told; those that teach the same are left out."""
        changes = []
        for rows in dict.fromkeys(map(rows_of_note, told)):
            old = self._lesson(rows)
            new = self._lesson(rows, told)
            if old != new or (new is not None and new.row in told):
                changes.append((old, new))
        return changes

    def _lesson(
        self, rows: Iterable[str], told: Mapping[str, frozenset[str]] = MappingProxyType({})
    ) -> _Lesson | None:
        """What the note of these rows teaches, some of them told otherwise; None: nothing."""
        counted = [(row, tags) for row in rows if (tags := told.get(row, self.tags.get(row)))]
        if not counted:
            return None
        first, tags = counted[0]
        return _Lesson(first, tags.union(*[more for _, more in counted[1:]]))

    def _tell(self, key: str, tags: frozenset[str]) -> None:
        self._uses.put(key, tags)
        if tags:
            self.tags[key] = tags
        else:
            self.tags.pop(key, None)

    def _count(self, lessons: Sequence[tuple[Collection[str], Taught | None]], times: int) -> None:
        known = [(tags, taught) for tags, taught in lessons if taught is not None]
        if not known:
            return
        self._sums.add([tags for tags, _ in known], np.stack([taught.vector for _, taught in known]), times)
        worded = [(tags, taught.words) for tags, taught in known if len(taught.words.numbers)]
        self._words.add([tags for tags, _ in worded], [words for _, words in worded], times)
