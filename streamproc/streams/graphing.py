"""The graph agent's work: ``graph.notes`` → ``graph.edges``, then the rows of the graph.

The old rows are read, the difference is published and confirmed, and only then are the new rows written: a crash in
between repeats the difference, and never loses it.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from streamproc.errors import PoisonError
from streamproc.events.position import Source
from streamproc.events.record import InputRecord
from streamproc.events.topics import TopicNames
from streamproc.graph.edges import EdgeChange, edge_records
from streamproc.graph.writer import NotePlan, last_offsets
from streamproc.observability import metrics
from streamproc.observability.histograms import observe_all
from streamproc.streams.dead_letter import Cause
from streamproc.streams.failure import Failed, FailurePolicy
from streamproc.streams.lane import DEAD, Prepared, dead
from streamproc.streams.outputs import Outputs

__all__ = ["APPLIED", "GraphingWork", "NoteWriter"]

APPLIED = "applied"


class NoteWriter(Protocol):
    """What is needed of the graph's writer."""

    async def plan(self, records: Sequence[InputRecord]) -> NotePlan:
        """Read the old rows and compare."""
        ...

    async def apply(self, plan: NotePlan) -> None:
        """Write the new rows and how far the topic is applied."""
        ...


@dataclass(frozen=True)
class _Planned:
    """A plan, and what it says of each record."""

    plan: NotePlan
    records: tuple[InputRecord, ...]
    edges: Mapping[Source, Sequence[EdgeChange]]
    rejected: Mapping[Source, PoisonError]


class GraphingWork:
    """Turns records of ``graph.notes`` into rows and changes of edges."""

    name = "graph"
    stage = "graph"

    def __init__(
        self,
        writer: NoteWriter,
        policy: FailurePolicy,
        outputs: Outputs,
        wall_seconds: Callable[[], float] = time.time,
    ) -> None:
        self._writer = writer
        self._policy = policy
        self._outputs = outputs
        self._names: TopicNames = outputs.names
        self._wall_seconds = wall_seconds

    async def prepare(self, records: Sequence[InputRecord]) -> Sequence[Prepared]:
        """Compare the records with the rows; the edges' changes are the outputs."""
        results = await self._policy.carry(records, self._plan)
        prepared: list[Prepared] = []
        for record, result in zip(records, results, strict=True):
            if isinstance(result, Failed):
                prepared.append(dead(self._outputs, record, Cause(result.error, self.stage, result.attempts)))
                continue
            error = result.rejected.get(record.source)
            if error is not None:
                letter = dead(self._outputs, record, Cause(error, self.stage))
                prepared.append(Prepared(record, letter.outputs, DEAD, result))
                continue
            changes = edge_records(result.edges.get(record.source, ()), self._names)
            prepared.append(Prepared(record, changes, APPLIED, result))
        return prepared

    async def settle(self, prepared: Sequence[Prepared]) -> Sequence[Prepared]:
        """Write the rows. What the graph refuses, record by record, comes back as dead letters."""
        died: list[Prepared] = []
        plans = _distinct(item.state for item in prepared)
        for planned in plans:
            (result,) = await self._policy.carry([planned.plan], self._apply)
            if result is not None:
                died += await self._one_by_one(planned.records)
        if len(plans) != 1 or died or any(item.state is None for item in prepared):
            await self._note_applied([item.record for item in prepared])
        self._observe_delay(prepared)
        return died

    async def _note_applied(self, records: Sequence[InputRecord]) -> None:
        """Records that died have no plan, but count as applied: a graph without them is not behind the commits."""
        nothing_more = NotePlan((), (), (), last_offsets(records), ())
        (result,) = await self._policy.carry([nothing_more], self._apply)
        if isinstance(result, Failed):
            raise result.error

    async def _plan(self, records: Sequence[InputRecord]) -> Sequence[_Planned]:
        plan = await self._writer.plan(records)
        edges: dict[Source, list[EdgeChange]] = {}
        for change in plan.edges:
            edges.setdefault(change.source, []).append(change)
        rejected = {each.record.source: each.error for each in plan.rejected}
        return [_Planned(plan, tuple(records), edges, rejected)] * len(records)

    async def _apply(self, plans: Sequence[NotePlan]) -> Sequence[None]:
        for plan in plans:
            await self._writer.apply(plan)
        return [None] * len(plans)

    async def _one_by_one(self, records: Sequence[InputRecord]) -> list[Prepared]:
        async def plan_and_apply(some: Sequence[InputRecord]) -> Sequence[None]:
            for record in some:
                await self._writer.apply(await self._writer.plan([record]))
            return [None] * len(some)

        died: list[Prepared] = []
        for record in records:
            (result,) = await self._policy.carry([record], plan_and_apply)
            if isinstance(result, Failed):
                died.append(dead(self._outputs, record, Cause(result.error, self.stage, result.attempts)))
        return died

    def _observe_delay(self, prepared: Sequence[Prepared]) -> None:
        now = self._wall_seconds()
        published = [
            _published_seconds(item.record)
            for item in prepared
            if item.outcome == APPLIED and item.record.value is not None
        ]
        delays = [max(0.0, now - moment) for moment in published if moment is not None]
        observe_all(metrics.RECALL_DELAY_SECONDS, delays)


def _published_seconds(record: InputRecord) -> float | None:
    # ``ce_time`` of an output is the time of the record on notes.new that it comes from.
    for name, value in record.headers:
        if name == "ce_time" and value:
            try:
                return datetime.fromisoformat(value.decode()).timestamp()
            except ValueError:
                return None
    return None


def _distinct(states: Iterable[_Planned | None]) -> list[_Planned]:
    return list({id(state): state for state in states if state is not None}.values())
