"""People's judgements of tags on notes, packed for millions of notes.

A note's judgements are one ``bytes`` of 8 bytes a word, oldest first: tag, annotator with the verdict in
the top bit. Tags and annotators are numbered once. A note with one judgement takes about 200 bytes, each further
judgement some 80: the notes' ids are remembered in the order in which they were judged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from types import MappingProxyType

from streamproc.events.label import Judgement
from streamproc.knowledge.layers import LayeredMap, LayeredView

__all__ = ["Judgements", "JudgementsSnapshot"]

_WORD = Struct("<II")
_CORRECT = 1 << 31
_NOTHING: Mapping[str, bool] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class JudgementsSnapshot:
    """The judgements at one moment.

    Attributes:
        offsets: the last applied offset of each partition of ``notes.labels``; -1: nothing yet.
        spoken: how many judgements were applied.
    """

    offsets: tuple[int, ...]
    spoken: int
    _words: LayeredView[str, bytes]
    _tag_ids: list[str]  # shared with the writer, which only ever appends
    _judged: list[str]  # likewise
    _confirmed: LayeredView[str, int]

    def of(self, note_id: str) -> Mapping[str, bool]:
        """What people say of a note's tags: ``{tag_id: correct}``, tags without a judgement left out.

        Each annotator's last word counts; the majority decides, and between equals the newest word.
        """
        packed = self._words.get(note_id)
        if packed is None:
            return _NOTHING
        votes: dict[int, list[bool]] = {}
        for tag, annotator in _WORD.iter_unpack(packed):
            votes.setdefault(tag, []).append(bool(annotator & _CORRECT))
        return {self._tag_ids[tag]: _verdict(words) for tag, words in votes.items()}

    def confirmed(self, tag_id: str) -> int:
        """On how many notes people confirmed this tag."""
        return self._confirmed.get(tag_id, 0)

    def since(self, spoken: int) -> frozenset[str]:
        """Ids of the notes that were judged after the first so many judgements."""
        return frozenset(self._judged[spoken : self.spoken])

    def __len__(self) -> int:
        return len(self._words)


class Judgements:
    """The judgements, kept current by the tail of ``notes.labels``."""

    def __init__(self) -> None:
        self._words: LayeredMap[str, bytes] = LayeredMap()
        self._tags: dict[str, int] = {}
        self._tag_ids: list[str] = []
        self._judged: list[str] = []
        self._confirmed: LayeredMap[str, int] = LayeredMap()
        self._annotators: dict[str | None, int] = {}
        self._offsets: list[int] = []

    @property
    def offsets(self) -> tuple[int, ...]:
        """The last applied offset of each partition; -1: nothing yet."""
        return tuple(self._offsets)

    def apply(self, judgement: Judgement, partition: int, offset: int) -> None:
        """Apply one record. One that was applied before is passed over."""
        if not self._advance(partition, offset):
            return
        tag = self._number_of_tag(judgement.tag_id)
        annotator = self._annotators.setdefault(judgement.annotator, len(self._annotators))
        said = _WORD.pack(tag, annotator | (_CORRECT if judgement.correct else 0))
        before = self._words.get(judgement.note_id) or b""
        others = b"".join(
            _WORD.pack(*word)
            for word in _WORD.iter_unpack(before)
            if (word[0], word[1] & ~_CORRECT) != (tag, annotator)
        )
        self._words.set(judgement.note_id, others + said)
        self._judged.append(judgement.note_id)
        change = _confirms(others + said, tag) - _confirms(before, tag)
        if change:
            self._confirmed.set(
                judgement.tag_id, (self._confirmed.get(judgement.tag_id) or 0) + change or None
            )

    def pass_over(self, partition: int, offset: int) -> None:
        """Note that a record was read which says nothing: it could not be decoded."""
        self._advance(partition, offset)

    def snapshot(self) -> JudgementsSnapshot:
        """The judgements as they are now."""
        return JudgementsSnapshot(
            self.offsets,
            len(self._judged),
            self._words.snapshot(),
            self._tag_ids,
            self._judged,
            self._confirmed.snapshot(),
        )

    def _advance(self, partition: int, offset: int) -> bool:
        self._offsets += [-1] * (partition + 1 - len(self._offsets))
        if offset <= self._offsets[partition]:
            return False
        self._offsets[partition] = offset
        return True

    def _number_of_tag(self, tag_id: str) -> int:
        number = self._tags.setdefault(tag_id, len(self._tag_ids))
        if number == len(self._tag_ids):
            self._tag_ids.append(tag_id)
        return number


def _confirms(packed: bytes, tag: int) -> bool:
    words = [bool(annotator & _CORRECT) for number, annotator in _WORD.iter_unpack(packed) if number == tag]
    return bool(words) and _verdict(words)


def _verdict(words: list[bool]) -> bool:
    balance = sum(1 if correct else -1 for correct in words)
    return words[-1] if balance == 0 else balance > 0
