"""A mapping whose snapshots are cheap: a large base that is never changed once it was shown, and a small overlay."""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar, overload

__all__ = ["LayeredMap", "LayeredView"]

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

SMALLEST_MERGE = 1024
"""Overlays below this are never merged: to copy one takes some microseconds."""

MERGE_SHARE = 8
"""An overlay that has grown to an eighth of the base is merged, so merging costs a constant per change.

Beside a million keys an overlay of 100,000 takes a millisecond or two to copy: once after a change, not for every snapshot.
"""


class LayeredView(Mapping[K, V], Generic[K, V]):
    """The map as it was at one moment; it never changes."""

    __slots__ = ("_base", "_overlay", "_size")

    def __init__(self, base: Mapping[K, V], overlay: Mapping[K, V | None], size: int) -> None:
        self._base = base
        self._overlay = overlay
        self._size = size

    def __getitem__(self, key: K) -> V:
        if key in self._overlay:
            value = self._overlay[key]
            if value is None:
                raise KeyError(key)
            return value
        return self._base[key]

    @overload
    def get(self, key: K) -> V | None: ...

    @overload
    def get(self, key: K, default: V | T) -> V | T: ...

    def get(self, key: K, default: V | T | None = None) -> V | T | None:
        """The value, or ``default``: recall asks for every neighbour, and hardly any of them is there."""
        value = self._overlay[key] if key in self._overlay else self._base.get(key)
        return default if value is None else value

    def __iter__(self) -> Iterator[K]:
        yield from (key for key in self._base if key not in self._overlay)
        yield from (key for key, value in self._overlay.items() if value is not None)

    def __len__(self) -> int:
        return self._size


class LayeredMap(Generic[K, V]):
    """A map that is written by one task and read through snapshots. Values are never None.

    Until the first snapshot writes go straight into the base, so loading is as fast as a dict.
    """

    def __init__(self) -> None:
        self._base: dict[K, V] = {}
        self._overlay: dict[K, V | None] = {}
        self._shown = False
        self._view: LayeredView[K, V] | None = None  # until the next write
        self._size = 0

    def get(self, key: K) -> V | None:
        """The value as it is now."""
        return self._overlay[key] if key in self._overlay else self._base.get(key)

    def set(self, key: K, value: V | None) -> None:
        """Write a value; None removes it."""
        self._view = None
        self._size += (value is not None) - (self.get(key) is not None)
        if self._shown:
            self._overlay[key] = value
        elif value is None:
            self._base.pop(key, None)
        else:
            self._base[key] = value

    def __len__(self) -> int:
        return self._size

    def snapshot(self) -> LayeredView[K, V]:
        """The map as it is now; later writes do not reach it."""
        if self._view is None:
            self._merge()
            self._shown = True
            self._view = LayeredView(self._base, dict(self._overlay), self._size)
        return self._view

    def _merge(self) -> None:
        if len(self._overlay) > max(SMALLEST_MERGE, len(self._base) // MERGE_SHARE):
            merged = {key: value for key, value in self._base.items() if key not in self._overlay}
            merged.update((key, value) for key, value in self._overlay.items() if value is not None)
            self._base, self._overlay = merged, {}
