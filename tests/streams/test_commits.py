"""Commits and the marks on them, with a consumer group that is a dictionary."""

import asyncio
import time
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from streamproc.observability.clock import SystemClock
from streamproc.streams import commits as module
from streamproc.streams.commits import Commits
from streamproc.streams.ledger import OffsetLedger, Partition
from streamproc.streams.suspects import AT_WORK, CLEAN, Commit, Suspects
from tests.streams.test_suspects import at_once

P0 = Partition("notes.new", 0)
END = 100


class Group:
    """What the broker has of the group; ``hangs`` while it is away."""

    def __init__(self):
        self.stored = {}
        self.hangs = False
        self._coordinator = self

    def assignment(self):
        return {TopicPartition(*P0)}

    async def fetch_committed_offsets(self, partitions):
        return {each: self.stored[each] for each in partitions if each in self.stored}

    async def beginning_offsets(self, partitions):
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions):
        return dict.fromkeys(partitions, END)

    async def commit(self, offsets):
        if self.hangs:
            await asyncio.Event().wait()
        self.stored.update(offsets)

    @property
    def at(self):
        stored = self.stored[TopicPartition(*P0)]
        return Commit(stored.offset, stored.metadata)

    @at.setter
    def at(self, commit):
        self.stored[TopicPartition(*P0)] = OffsetAndMetadata(commit.offset, commit.mark)


class Worker:
    """One after the other takes the partition."""

    def __init__(self, group):
        self.ledger = OffsetLedger(time.monotonic)
        self.commits = Commits(None, self.ledger)
        self.suspects = Suspects(50, self.commits, SystemClock(), at_once)
        self.group = group

    async def starts(self):
        return self.suspects.find(await self.commits.take_up("notes.new"))

    async def begins(self, offset):
        ticket = self.ledger.track(P0, offset)
        if self.suspects.suspected(ticket):
            return ticket, await self.suspects.begin(ticket)
        return ticket, None

    async def finishes(self, *offsets):
        for offset in offsets:
            ticket, _ = await self.begins(offset)
            self.ledger.release(ticket)
        await self.commits.commit(1)

    async def hands_over(self):
        await self.commits.commit(1, handing_over=self.suspects.pending)
        self.ledger.revoke()


@pytest.fixture
def group(monkeypatch):
    group = Group()

    async def call_thread(method, argument):
        return await method(argument)

    thread = SimpleNamespace(_consumer=group, call_thread=call_thread)
    monkeypatch.setattr(module, "consumer_thread", lambda _app: thread)
    return group


@pytest.fixture
def worker(group):
    return Worker(group)


async def test_a_partition_is_marked_while_a_worker_has_it_and_clean_once_it_was_handed_over(group, worker):
    assert await worker.starts() == 0
    assert group.at == Commit(0, AT_WORK)
    await worker.finishes(0, 1, 2)
    assert group.at == Commit(3, AT_WORK)
    await worker.hands_over()
    assert group.at == Commit(3, CLEAN)
    assert await Worker(group).starts() == 0


async def test_a_worker_that_dies_leaves_its_mark(group, worker):
    await worker.starts()
    await worker.finishes(0, 1, 2)
    other = Worker(group)
    assert await other.starts() == 1
    assert [at for at in range(3, END) if other.suspects.pending(P0, at)] == list(range(3, 53))


async def test_what_was_written_after_the_death_is_not_suspected(group, worker):
    group.at = Commit(END - 2, AT_WORK)
    await worker.starts()
    assert [at for at in range(END - 2, 2 * END) if worker.suspects.pending(P0, at)] == [END - 2, END - 1]


async def test_suspects_that_were_not_reached_are_handed_over_as_such(group, worker):
    group.at = Commit(0, AT_WORK)
    await worker.starts()
    await worker.finishes(*range(20))
    await worker.hands_over()
    assert group.at == Commit(20, AT_WORK)
    await worker.starts()
    await worker.finishes(*range(20, 75))
    await worker.hands_over()
    assert group.at == Commit(75, CLEAN)


async def test_each_death_with_a_record_counts_and_a_rebalance_with_it_does_not(group):
    group.at = Commit(5, AT_WORK)
    marks = []
    for rebalanced in (False, True, True, False):
        worker = Worker(group)
        await worker.starts()
        _, verdict = await worker.begins(5)
        assert verdict is None
        marks.append(group.at.mark)
        if rebalanced:
            await worker.hands_over()
    assert marks == ["alone 1", "alone 2", "alone 2", "alone 2"]
    last = Worker(group)
    await last.starts()
    _, verdict = await last.begins(5)
    assert verdict.attempts == 3


async def test_one_that_was_not_begun_again_stays_as_it_was_found(group, worker):
    group.at = Commit(5, "alone 1")
    await worker.starts()
    await worker.hands_over()
    assert group.at == Commit(5, "alone 1")


async def test_a_worker_without_partitions_stores_nothing(group, worker, monkeypatch):
    monkeypatch.setattr(group, "assignment", set)
    assert await worker.starts() == 0
    assert group.stored == {}


async def test_a_commit_ends_in_time_also_behind_one_that_hangs(group, worker):
    await worker.starts()
    worker.ledger.release(worker.ledger.track(P0, 0))
    group.hangs = True
    ahead = asyncio.create_task(worker.commits.commit(3))
    await asyncio.sleep(0)
    began = time.monotonic()
    await worker.commits.commit(0.05, handing_over=worker.suspects.pending)
    assert time.monotonic() - began < 1
    ahead.cancel()


async def test_an_announcement_has_a_limit(group, worker):
    await worker.starts()
    group.hangs = True
    with pytest.raises(TimeoutError):
        await worker.commits.announce(worker.ledger.track(P0, 0), "alone 1", 0.02)
