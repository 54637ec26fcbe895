"""The micro-batcher: single items in, batches out, bounded in size, in waiting time and in memory."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

from streamproc.observability.clock import Clock

__all__ = ["MicroBatcher"]

T = TypeVar("T")


class MicroBatcher(Generic[T]):
    """Collects items until there are ``size`` of them or the oldest has waited ``linger_seconds``.

    Items leave in the order in which they came. When ``capacity`` items wait, :meth:`put` waits too: that is the
    back-pressure. One task may take; several may put.

    Args:
        size: how many items a batch has at most.
        linger_seconds: how long the oldest item waits for company.
        capacity: how many items may wait before producers of items do; at least ``size``.
        clock: the source of time.
    """

    def __init__(self, *, size: int, linger_seconds: float, capacity: int, clock: Clock) -> None:
        if not 1 <= size <= capacity:
            raise ValueError(f"size {size} must be at least 1 and at most the capacity {capacity}")
        self._size = size
        self._linger_seconds = linger_seconds
        self._capacity = capacity
        self._clock = clock
        self._items: deque[tuple[float, T]] = deque()
        self._some = asyncio.Event()
        self._full_batch = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def __len__(self) -> int:
        return len(self._items)

    def offer(self, item: T) -> bool:
        """Add an item unless the batcher is at capacity; return whether it was added."""
        if len(self._items) >= self._capacity:
            self._room.clear()
            return False
        self._items.append((self._clock.monotonic(), item))
        if len(self._items) >= self._size:
            self._full_batch.set()
        self._some.set()
        return True

    async def put(self, item: T) -> None:
        """Add an item; wait while the batcher is at capacity."""
        while not self.offer(item):
            await self._room.wait()

    async def take(self) -> list[T]:
        """Return the next batch: at least one item, at most ``size``."""
        while True:
            # Not once: between the event and the turn of whoever waits for it, a clear() can come.
            while not self._items:
                await self._some.wait()
            due_in = self._items[0][0] + self._linger_seconds - self._clock.monotonic()
            if len(self._items) < self._size and due_in > 0:
                await self._clock.wait(self._full_batch, due_in)
                # A clear() may have emptied the batcher meanwhile, and what came since lingers anew.
                continue
            return self._pop()

    def clear(self) -> list[T]:
        """Remove and return everything that waits."""
        items = [item for _, item in self._items]
        self._items.clear()
        self._settle()
        return items

    def _pop(self) -> list[T]:
        batch = [self._items.popleft()[1] for _ in range(min(self._size, len(self._items)))]
        self._settle()
        return batch

    def _settle(self) -> None:
        if not self._items:
            self._some.clear()
        if len(self._items) < self._size:
            self._full_batch.clear()
        self._room.set()
