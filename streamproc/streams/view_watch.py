"""The graph, compared with the consumer group's commits again and again: while it lacks what they say, nothing is done.

A new offset written to a graph that was lost would hide the loss.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import structlog
from aiokafka.errors import KafkaError

from streamproc.errors import GraphMismatchError, TransientError
from streamproc.graph.view import Partition, view_state
from streamproc.observability.clock import Clock
from streamproc.streams.gate import Gate

__all__ = ["CHECK_SECONDS", "RETRY_SECONDS", "VIEW", "ViewWatch", "WatchedGraph"]

log = structlog.get_logger(__name__)

VIEW = "view"
"""The reason that holds gates shut while the graph is not in order, or not compared yet."""

CHECK_SECONDS = 30.0
"""How often a graph in order is compared again: a server may come back without its data."""

RETRY_SECONDS = 2.0
"""How soon a graph that lacks committed records is looked at again: someone may have rebuilt it."""


class WatchedGraph(Protocol):
    """What is needed of the graph."""

    async def applied_offsets(self) -> Mapping[Partition, int]:
        """The last offset applied, by topic and partition."""
        ...

    async def warm_up(self) -> None:
        """Do now what would keep the first note waiting."""
        ...


class ViewWatch:
    """Compares after every assignment, when a batch found the graph lost, and now and then.

    Args:
        graph: what is compared.
        committed: reads the group's commits on the topics that the graph is the view of.
        gates: shut by it; :data:`VIEW` holds them shut from the start.
        clock: the source of time.
    """

    def __init__(
        self,
        graph: WatchedGraph,
        committed: Callable[[], Awaitable[Mapping[Partition, int]]],
        gates: Sequence[Gate],
        clock: Clock,
    ) -> None:
        self._graph = graph
        self._committed = committed
        self._gates = gates
        self._clock = clock
        self._look = asyncio.Event()
        self._in_order = asyncio.Event()
        self._ended = False
        self.problem = "the graph is not compared with the consumer group's commits yet"
        """What is wrong with the graph, in a sentence; empty: nothing."""

    def look(self) -> None:
        """Compare now."""
        self._look.set()

    def end(self) -> None:
        """Compare no more."""
        self._ended = True

    async def run(self) -> None:
        """Compare until it is ended, for the first time when it is told to look."""
        await self._look.wait()
        while not self._ended:
            await self._clock.wait(self._look, CHECK_SECONDS)
            self._look.clear()
            if problem := await self._find_problem():
                self._lose(problem)
                await self._clock.sleep(RETRY_SECONDS)
                self._look.set()
                continue
            self.problem = ""
            for gate in self._gates:
                gate.lift(VIEW)
            self._in_order.set()

    async def until_found(self, lost: GraphMismatchError) -> None:
        """Return when the graph is there again: a batch did not find it."""
        self._lose(str(lost))
        self.look()
        await self._clock.sleep(RETRY_SECONDS)
        await self._in_order.wait()

    async def _find_problem(self) -> str:
        try:
            # The commits first: what is committed between the two reads was applied before.
            committed = await self._committed()
            applied = await self._graph.applied_offsets()
            if self.problem:
                await self._graph.warm_up()
        except GraphMismatchError as error:
            return str(error)
        except (TransientError, KafkaError) as error:
            return f"the graph cannot be compared with the consumer group's commits: {error}"
        return view_state(applied, committed).message

    def _lose(self, problem: str) -> None:
        if problem != self.problem:
            log.error("not ready", reason=problem)
        self.problem = problem
        self._in_order.clear()
        for gate in self._gates:
            gate.shut(VIEW, problem)
