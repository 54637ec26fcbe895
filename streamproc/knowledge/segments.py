"""Passages of knowledge as ``knowledge.changes`` leaves them."""

from collections.abc import Iterable
from dataclasses import dataclass

from streamproc.events.segment import SegmentChange
from streamproc.knowledge.layers import LayeredMap, LayeredView

__all__ = ["Segments", "SegmentsSnapshot"]


@dataclass(frozen=True, slots=True)
class SegmentsSnapshot:
    """The passages at one moment.

    Attributes:
        by_id: the passages by their ids.
        offset: the last applied offset of ``knowledge.changes``; -1: nothing yet.
    """

    by_id: LayeredView[str, SegmentChange]
    offset: int

    def get(self, segment_id: str) -> SegmentChange | None:
        """The passage, or None where there is none (any more)."""
        return self.by_id.get(segment_id)

    def __len__(self) -> int:
        return len(self.by_id)


class Segments:
    """The passages, kept current by the tail of ``knowledge.changes``."""

    def __init__(self) -> None:
        self._by_id: LayeredMap[str, SegmentChange] = LayeredMap()
        self._offset = -1

    @classmethod
    def of(cls, changes: Iterable[SegmentChange]) -> "Segments":
        """The passages of a file, with the log still to come."""
        segments = cls()
        for change in changes:
            segments._by_id.set(change.segment_id, change)
        return segments

    @property
    def offset(self) -> int:
        """The last applied offset; -1: nothing yet."""
        return self._offset

    def apply(self, change: SegmentChange | str, offset: int) -> None:
        """Apply one record; an id alone removes that passage. A record that was applied before is passed over."""
        if offset <= self._offset:
            return
        self._offset = offset
        if isinstance(change, str):
            self._by_id.set(change, None)
        else:
            self._by_id.set(change.segment_id, change)

    def pass_over(self, offset: int) -> None:
        """Note that a record was read which says nothing: it could not be decoded."""
        self._offset = max(self._offset, offset)

    def snapshot(self) -> SegmentsSnapshot:
        """The passages as they are now."""
        return SegmentsSnapshot(self._by_id.snapshot(), self._offset)
