"""The worker put together: the app, its agents, the tails and what watches over them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any

import structlog
from aiokafka.errors import KafkaError

from streamproc import __version__
from streamproc.config import Settings
from streamproc.events.codec import Limits
from streamproc.events.position import Source, SourcePosition
from streamproc.events.record import InputRecord
from streamproc.observability import metrics
from streamproc.observability.clock import Clock, OutageClock, SystemClock
from streamproc.observability.health import Health, Vitals, judge
from streamproc.streams.app import consumer_thread, create_app, missing_topics, producer_of, subscribe
from streamproc.streams.breaker import Dependencies
from streamproc.streams.commits import Commits
from streamproc.streams.delivery import Delivery
from streamproc.streams.failure import FailurePolicy
from streamproc.streams.gate import Gate
from streamproc.streams.graphing import GraphingWork
from streamproc.streams.intake import Intake
from streamproc.streams.kafka_dependency import KafkaDependency
from streamproc.streams.lag import Lag, Standstill
from streamproc.streams.lane import Alone, Lane, LaneSize, Work
from streamproc.streams.ledger import OffsetLedger, Partition
from streamproc.streams.outputs import Outputs
from streamproc.streams.parts import Parts
from streamproc.streams.repository import RepositoryWork
from streamproc.streams.suspects import Suspects
from streamproc.streams.tagging import TaggingWork
from streamproc.streams.tails import Tails
from streamproc.streams.view_watch import VIEW, ViewWatch
from streamproc.streams.web import add_routes

__all__ = ["Runtime"]

log = structlog.get_logger(__name__)

PULSE_SECONDS = 0.25
"""How often the runtime looks after itself: an event loop that is late by much more was held up."""

COMMIT_PATIENCE_SECONDS = 5.0
"""How long a commit may take before it is left to the next: whoever stops the worker waits behind it."""

COMMIT_SECONDS = 1.0
"""How often offsets are committed: what a crash repeats is bounded by it."""

MARKS_AGAIN_SECONDS = 2.0
"""How soon the marks of the last worker are read again after that failed."""

PROBE_SECONDS = 10.0
"""How often dependencies are asked whether they are there."""

LAG_SECONDS = 10.0
"""How often Kafka is asked for the ends of the logs: no oftener than they are scraped."""

SUSPECTED_BATCHES = 12
"""After an unclean exit so many records are suspected: twice what a lane has under way and waiting, for the last second's commit."""

HANDOVER = "rebalancing"
MARKS = "marks"
SUSPECTS = "suspects"
STOPPING = "stopping"
TAILS = "tails"


class Runtime:
    """One worker: its Faust app and everything that the agents share.

    Args:
        settings: what the operator set.
        parts: pipeline, graph, knowledge.
        loop: the event loop that the app will run in.
        web: whether health and metrics are served.
        clock: the source of time.
    """

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        *,
        loop: asyncio.AbstractEventLoop,
        web: bool,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._parts = parts
        self._clock = clock or SystemClock()
        self._outages = OutageClock(self._clock)
        self._ledger = OffsetLedger(self._outages.monotonic)
        self._outputs = Outputs.of(settings)
        self._dependencies = Dependencies(
            (KafkaDependency(settings), *parts.dependencies), self._outages, self._clock
        )
        self._tagging_gate = Gate(TAILS, VIEW, MARKS)
        self._graph_gate = Gate(VIEW)
        self._topics: dict[Gate, list[str]] = {self._tagging_gate: [], self._graph_gate: []}
        self._find_marks = asyncio.Event()
        self._joined = False
        self._stopping = False
        self.app = create_app(settings, web=web, loop=loop)
        self._commits = Commits(self.app, self._ledger)
        self._view = ViewWatch(
            parts.graph, self._commits_in_view, (self._tagging_gate, self._graph_gate), self._clock
        )
        self._suspects = Suspects(
            SUSPECTED_BATCHES * settings.batch_size, self._commits, self._clock, self._others_idle
        )
        self._intake = Intake(self.app)
        self._standstill = Standstill()
        names = self._outputs.names
        self._tails = Tails(settings, parts.knowledge, self._clock)
        self._lanes = (
            self._lane(
                TaggingWork(
                    parts.pipeline,
                    self._policy("tagging"),
                    self._outputs,
                    Limits(settings.max_note_bytes, settings.max_text_chars),
                ),
                self._tagging_gate,
                [names.notes_new],
                overlap=True,
                alone=self._suspects,
            ),
            self._lane(
                GraphingWork(parts.graph, self._policy("graph"), self._outputs),
                self._graph_gate,
                [names.graph_notes],
                overlap=False,
            ),
            self._lane(
                RepositoryWork(parts.graph, self._tails, self._policy("repository"), self._outputs),
                self._graph_gate,
                [names.tags_changes, names.knowledge_changes, names.notes_labels],
                overlap=False,
            ),
        )
        self.app.on_partitions_revoked.connect(self._on_revoked)
        self.app.on_partitions_assigned.connect(self._on_assigned)
        self.app.on_before_shutdown.connect(self._on_shutdown)
        self.app.background += [
            self._tails.run,
            self._pulse,
            self._watch_gaps,
            self._view.run,
            self._watch_marks,
            self._watch_dependencies,
            self._watch_lag,
        ]
        self.app.at_shutdown = parts.close
        metrics.WORKER.info({"version": __version__, "inference": settings.inference.value})
        if web:
            add_routes(self.app, self.health)

    def health(self) -> Health:
        """Whether the worker is worth keeping, and whether it does its work."""
        return judge(
            Vitals(
                group_joined=self._joined,
                topics_missing=missing_topics(self.app, chain(*self._topics.values()))
                if self._joined
                else (),
                tails_behind=self._tails.behind,
                view_problem=self._view.problem,
                down=self._dependencies.down(),
                oldest_unacked_seconds=self._ledger.oldest_age_seconds(),
                standstill_seconds=self._standstill.seconds(self._outages.monotonic()),
            ),
            self._settings.stuck_seconds,
        )

    def _policy(self, agent: str) -> FailurePolicy:
        return FailurePolicy(
            agent,
            self._dependencies,
            self._clock,
            self._settings.attempt_seconds,
            self._settings.max_attempts,
            self._view.until_found,
        )

    def _lane(
        self, work: Work, gate: Gate, topics: Sequence[str], *, overlap: bool, alone: Alone | None = None
    ) -> Lane:
        self._topics[gate] += topics
        size = LaneSize(self._settings.batch_size, self._settings.linger_seconds)
        if not overlap:
            size = LaneSize(size.batch_size, size.linger_seconds, batches_under_way=1)
        lane = Lane(
            work,
            size=size,
            ledger=self._ledger,
            outputs=self._outputs,
            dependencies=self._dependencies,
            gate=gate,
            clock=self._clock,
            alone=alone,
        )
        subscribe(self.app, work.name, topics, self._agent(lane))
        return lane

    def _agent(self, lane: Lane) -> Callable[[Any], Awaitable[None]]:
        app, ledger = self.app, self._ledger

        async def agent(stream: Any) -> None:
            async with lane.running(Delivery(producer_of(app))):
                async for event in stream.noack().events():
                    message = event.message
                    if message.generation_id != app.consumer_generation_id:
                        # Buffered before a rebalance: whoever has the partition now reads it again.
                        continue
                    ticket = ledger.track(Partition(message.topic, message.partition), message.offset)
                    if ticket is not None:
                        await lane.accept(ticket, _record(message))

        return agent

    async def _on_revoked(self, app: Any, revoked: Any = None, **_: Any) -> None:
        """Finish or cancel what is under way before the partitions are given up; Faust waits for this."""
        del app, revoked
        self._shut(HANDOVER, "partitions are being handed over")
        await self._let_go(min(self._settings.drain_seconds, self._settings.session_timeout_seconds / 2))

    async def _on_assigned(self, app: Any, assigned: Any = None, **_: Any) -> None:
        del app
        # An assignment begins at the committed offsets, whatever had been read before.
        self._ledger.revoke()
        self._joined = True
        self._tagging_gate.shut(MARKS, "it is not known yet whether the last worker ended as it should")
        self._find_marks.set()
        self._lift(HANDOVER)
        self._view.look()
        log.info("partitions assigned", partitions=len(assigned or ()))

    async def _on_shutdown(self, app: Any, **_: Any) -> None:
        del app
        self._stopping = True
        self._view.end()
        self._shut(STOPPING, "the worker is stopping")
        await self._let_go(0 if self.app.crashed else self._settings.drain_seconds, ending=True)

    async def _let_go(self, seconds: float, *, ending: bool = False) -> None:
        # While a dependency is down nothing will be finished: waiting would only hold up the group.
        waiting = bool(self._dependencies.down() or self._view.problem)
        patience = 0 if waiting else seconds
        finished = await asyncio.gather(*(lane.drain(patience) for lane in self._lanes))
        if not all(finished):
            log.info("work under way was cancelled; its records are read again", after_seconds=patience)
        # A note that is not finished when the process ends may hang it: whoever reads it again takes it alone. In a rebalance
        # what is late is cancelled and ends so: nothing hangs.
        tagging, *_ = finished
        orderly = not self.app.crashed and (tagging or waiting or not ending)
        await self._commits.commit(
            max(1.0, seconds / 2), handing_over=self._suspects.pending if orderly else None
        )
        self._ledger.revoke()

    @asynccontextmanager
    async def _others_idle(self) -> AsyncIterator[None]:
        """The agents beside tagging do nothing while it lasts."""
        self._graph_gate.shut(SUSPECTS, "a note that may have ended a worker is at work")
        try:
            for lane in self._lanes[1:]:
                await lane.until_idle()
            yield
        finally:
            self._graph_gate.lift(SUSPECTS)

    async def _pulse(self) -> None:
        """Commit and measure."""
        committed_at = self._clock.monotonic()
        while not self._stopping:
            await self._clock.sleep(PULSE_SECONDS)
            now = self._clock.monotonic()
            if now - committed_at >= COMMIT_SECONDS:
                committed_at = now
                await self._commits.commit(COMMIT_PATIENCE_SECONDS)
            self._refresh()

    async def _watch_gaps(self) -> None:
        """Notice that this process stood still; alone in its task, for a wait for anything else would hide a gap."""
        while not self._stopping:
            slept_at = self._clock.monotonic()
            await self._clock.sleep(PULSE_SECONDS)
            gap_seconds = self._clock.monotonic() - slept_at
            if gap_seconds > self._settings.session_timeout_seconds:
                await self._abandon(gap_seconds)

    def _refresh(self) -> None:
        if not self._tails.behind:
            self._tagging_gate.lift(TAILS)
        idle = [
            topic
            for gate, topics in self._topics.items()
            if not gate.is_open or self._dependencies.down()
            for topic in topics
        ]
        self._intake.hold(idle)
        if idle:
            self._standstill.forget()
        metrics.OLDEST_UNACKED_SECONDS.set(self._ledger.oldest_age_seconds())
        metrics.COMMIT_STANDSTILL_SECONDS.set(self._standstill.seconds(self._outages.monotonic()))
        metrics.IN_FLIGHT.set(self._ledger.in_flight)
        metrics.READY.set(self.health().ready)

    async def _abandon(self, gap_seconds: float) -> None:
        """The group has given our partitions away meanwhile: nothing under way may be finished."""
        log.warning(
            "this process stood still; work in flight is abandoned", gap_seconds=round(gap_seconds, 1)
        )
        self._shut(HANDOVER, "waiting for partitions after standing still")
        self._ledger.revoke()
        await asyncio.gather(*(lane.drain(0) for lane in self._lanes))
        # Where the group did not notice, this brings an assignment all the same, and reading from the commits.
        thread = consumer_thread(self.app)
        await thread.call_thread(_request_rejoin, thread)

    async def _watch_dependencies(self) -> None:
        """Notice an outage also while there is no work that would meet it."""
        while not self._stopping:
            await self._clock.sleep(PROBE_SECONDS)
            await self._dependencies.notice()

    async def _watch_lag(self) -> None:
        """Measure now and then, but not during a rebalance: the consumer's thread has few hands, and seeks need them."""
        lag = Lag(self.app)
        while not self._stopping:
            await self._clock.sleep(LAG_SECONDS)
            if (
                self._joined
                and not self.app.rebalancing
                and KafkaDependency.name not in self._dependencies.down()
            ):
                measured = await lag.measure()
                if measured is not None:
                    self._standstill.observe(self._outages.monotonic(), measured)

    async def _watch_marks(self) -> None:
        """After every assignment, find out whether those who had the partitions before ended as they should."""
        while not self._stopping:
            await self._find_marks.wait()
            self._find_marks.clear()
            generation = self.app.consumer_generation_id
            try:
                async with asyncio.timeout(self._settings.session_timeout_seconds):
                    found = await self._commits.take_up(self._outputs.names.notes_new)
            except (KafkaError, TimeoutError) as error:
                log.info("the marks of the last worker cannot be read yet", reason=repr(error))
                await self._clock.sleep(MARKS_AGAIN_SECONDS)
                self._find_marks.set()
                continue
            if self._find_marks.is_set() or generation != self.app.consumer_generation_id:
                continue
            unclean = self._suspects.find(found)
            if unclean:
                log.warning(
                    "a worker did not end as it should; the records it had are taken one by one",
                    partitions=unclean,
                )
            self._tagging_gate.lift(MARKS)

    async def _commits_in_view(self) -> Mapping[tuple[str, int], int]:
        """The group's commits on the topics that the graph is the view of."""
        names = self._outputs.names
        return await self._commits.committed((names.graph_notes, names.tags_changes, names.knowledge_changes))

    def _shut(self, name: str, explanation: str) -> None:
        self._tagging_gate.shut(name, explanation)
        self._graph_gate.shut(name, explanation)

    def _lift(self, name: str) -> None:
        self._tagging_gate.lift(name)
        self._graph_gate.lift(name)


async def _request_rejoin(thread: Any) -> None:
    thread._consumer._coordinator.request_rejoin()  # noqa: SLF001 - aiokafka offers no other way


def _record(message: Any) -> InputRecord:
    return InputRecord(
        Source(
            SourcePosition(message.topic, message.partition, message.offset),
            round(message.timestamp * 1000) if message.timestamp else 0,
        ),
        message.key,
        message.value,
        tuple(message.headers or ()),
    )
