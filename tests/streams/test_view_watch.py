import asyncio
from contextlib import asynccontextmanager

from streamproc.errors import DependencyDownError, GraphMismatchError
from streamproc.observability.clock import SystemClock
from streamproc.streams.gate import Gate
from streamproc.streams.view_watch import CHECK_SECONDS, RETRY_SECONDS, VIEW, ViewWatch

NOTES = ("graph.notes", 0)
WATCH = "watch"


class HandClock(SystemClock):
    """Time stands still until it is moved on."""

    def __init__(self):
        self.now = 0.0
        self._moved = asyncio.Condition()

    def monotonic(self):
        return self.now

    async def sleep(self, seconds):
        until = self.now + seconds
        async with self._moved:
            await self._moved.wait_for(lambda: self.now >= until)

    async def wait(self, event, seconds):
        waits = [asyncio.create_task(each) for each in (event.wait(), self.sleep(seconds))]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()
        return event.is_set()

    async def go_on(self, seconds):
        async with self._moved:
            self.now += seconds
            self._moved.notify_all()
        await settled()


class Graph:
    """Offsets as they are set by hand; counts how often it was warmed up."""

    def __init__(self, applied):
        self.applied = applied
        self.warmed = 0
        self.error = None

    async def applied_offsets(self):
        if self.error is not None:
            raise self.error
        return self.applied

    async def warm_up(self):
        self.warmed += 1


async def settled():
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def watching(graph, committed):
    async def commits():
        return committed

    gate, clock = Gate(VIEW), HandClock()
    watch = ViewWatch(graph, commits, (gate,), clock)
    task = asyncio.create_task(watch.run(), name=WATCH)
    try:
        yield watch, gate, clock
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_nothing_is_done_before_the_graph_was_compared():
    async with watching(Graph({NOTES: 9}), {NOTES: 10}) as (watch, gate, clock):
        await clock.go_on(CHECK_SECONDS)
        assert not gate.is_open
        assert "not compared" in watch.problem
        watch.look()
        await settled()
        assert gate.is_open
        assert watch.problem == ""


async def test_a_graph_that_lacks_what_is_committed_is_looked_at_until_someone_has_rebuilt_it():
    graph = Graph({})
    async with watching(graph, {NOTES: 10}) as (watch, gate, clock):
        watch.look()
        await settled()
        assert "Run `streamproc graph rebuild`" in gate.reasons[VIEW]
        graph.applied = {NOTES: 9}
        await settled()
        assert not gate.is_open
        await clock.go_on(RETRY_SECONDS)
        assert gate.is_open


async def test_a_graph_that_loses_its_data_while_the_worker_runs_is_noticed():
    graph = Graph({NOTES: 9})
    async with watching(graph, {NOTES: 10}) as (watch, gate, clock):
        watch.look()
        await settled()
        graph.applied = {}
        await clock.go_on(CHECK_SECONDS - 1)
        assert gate.is_open
        await clock.go_on(1)
        assert not gate.is_open
        assert "the graph holds nothing of graph.notes/0" in watch.problem


async def test_a_graph_that_was_found_again_is_warmed_up_and_one_that_stayed_is_not():
    graph = Graph({NOTES: 9})
    async with watching(graph, {NOTES: 10}) as (watch, _gate, clock):
        watch.look()
        await settled()
        assert graph.warmed == 1
        await clock.go_on(CHECK_SECONDS)
        assert graph.warmed == 1
        graph.error = GraphMismatchError("a collection is gone")
        await clock.go_on(CHECK_SECONDS)
        graph.error = None
        await clock.go_on(RETRY_SECONDS)
        assert graph.warmed == 2


async def test_while_milvus_is_down_it_says_that_it_cannot_compare():
    graph = Graph({NOTES: 9})
    graph.error = DependencyDownError("Milvus", "refused")
    async with watching(graph, {NOTES: 10}) as (watch, gate, clock):
        watch.look()
        await settled()
        assert "cannot be compared" in watch.problem
        assert "Milvus cannot be reached" in watch.problem
        graph.error = None
        await clock.go_on(RETRY_SECONDS)
        assert gate.is_open


async def test_a_batch_that_lost_the_graph_waits_until_it_is_there_again():
    graph = Graph({NOTES: 9})
    async with watching(graph, {NOTES: 10}) as (watch, gate, clock):
        watch.look()
        await settled()
        lost = GraphMismatchError("a collection is gone")
        graph.error = lost
        batch = asyncio.create_task(watch.until_found(lost))
        await settled()
        assert gate.reasons[VIEW] == "a collection is gone"
        await clock.go_on(RETRY_SECONDS)
        await clock.go_on(RETRY_SECONDS)
        assert not batch.done()
        graph.error = None
        await clock.go_on(RETRY_SECONDS)
        assert batch.done()
        assert gate.is_open


async def test_it_ends_although_the_graph_is_still_lost_and_opens_nothing():
    graph = Graph({})
    async with watching(graph, {NOTES: 10}) as (watch, gate, clock):
        watch.look()
        await settled()
        watch.end()
        await clock.go_on(RETRY_SECONDS)
        assert not any(each.get_name() == WATCH for each in asyncio.all_tasks())
        assert not gate.is_open
        assert watch.problem
