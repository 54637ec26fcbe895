import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.observability.clock import SystemClock
from streamproc.pipeline.batcher import MicroBatcher


class HandClock:
    """Time moves only by :meth:`advance`."""

    def __init__(self):
        self.now = 0.0
        self.waiters = []

    def monotonic(self):
        return self.now

    async def sleep(self, seconds):
        await self.wait(asyncio.Event(), seconds)

    async def wait(self, event, seconds):
        timer = asyncio.Event()
        self.waiters.append((self.now + seconds, timer))
        tasks = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(timer.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        return event.is_set()

    async def advance(self, seconds):
        self.now += seconds
        for due, timer in self.waiters:
            if due <= self.now:
                timer.set()
        for _ in range(5):
            await asyncio.sleep(0)


def batcher(clock, size=3, linger_seconds=1.0, capacity=6):
    return MicroBatcher(size=size, linger_seconds=linger_seconds, capacity=capacity, clock=clock)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_full_batch_leaves_at_once():
    box = batcher(HandClock())
    for item in range(4):
        await box.put(item)
    assert await box.take() == [0, 1, 2]
    assert len(box) == 1


async def test_a_small_batch_leaves_when_its_oldest_item_has_lingered():
    clock = HandClock()
    box = batcher(clock)
    await box.put("a")
    taken = asyncio.ensure_future(box.take())
    await settle()
    await clock.advance(0.6)
    await box.put("b")
    await settle()
    assert not taken.done()
    await clock.advance(0.4)
    assert await taken == ["a", "b"]


async def test_an_item_that_fills_the_batch_ends_the_lingering():
    clock = HandClock()
    box = batcher(clock)
    await box.put(1)
    taken = asyncio.ensure_future(box.take())
    await settle()
    await box.put(2)
    await box.put(3)
    assert await taken == [1, 2, 3]
    assert clock.now == 0


async def test_at_capacity_put_waits_until_a_batch_is_taken():
    box = batcher(HandClock())
    for item in range(6):
        await box.put(item)
    late = asyncio.ensure_future(box.put(6))
    await settle()
    assert not late.done()
    assert await box.take() == [0, 1, 2]
    await late
    assert len(box) == 4


async def test_clear_empties_it_and_wakes_whoever_waits_for_room():
    box = batcher(HandClock())
    for item in range(6):
        await box.put(item)
    late = asyncio.ensure_future(box.put("late"))
    await settle()
    assert box.clear() == [0, 1, 2, 3, 4, 5]
    await late
    assert len(box) == 1


async def test_a_batch_cleared_while_it_lingers_is_not_delivered():
    clock = HandClock()
    box = batcher(clock)
    await box.put("lost")
    taken = asyncio.ensure_future(box.take())
    await settle()
    box.clear()
    await clock.advance(2)
    assert not taken.done()
    await box.put("kept")
    await settle()
    await clock.advance(1)
    assert await taken == ["kept"]


async def test_a_clear_right_after_the_first_item_leaves_the_taker_waiting():
    box = batcher(HandClock(), size=1, capacity=2)
    taker = asyncio.ensure_future(box.take())
    await asyncio.sleep(0)
    await box.put("lost")
    box.clear()
    await asyncio.sleep(0)
    assert not taker.done()
    await box.put("kept")
    assert await taker == ["kept"]


def test_a_capacity_below_the_size_is_refused():
    with pytest.raises(ValueError, match="capacity"):
        batcher(HandClock(), size=3, capacity=2)


@given(counts=st.lists(st.integers(1, 7), max_size=20), size=st.integers(1, 5))
def test_every_item_leaves_exactly_once_in_order(counts, size):
    async def run():
        box = MicroBatcher(size=size, linger_seconds=0, capacity=size * 2, clock=SystemClock())
        total = sum(counts)
        taken = []

        async def produce():
            number = 0
            for count in counts:
                for _ in range(count):
                    await box.put(number)
                    number += 1
                await asyncio.sleep(0)

        producer = asyncio.ensure_future(produce())
        while len(taken) < total:
            batch = await box.take()
            assert 1 <= len(batch) <= size
            taken += batch
        await producer
        assert taken == list(range(total))

    asyncio.run(run())
