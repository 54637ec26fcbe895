"""A lane: from records read by one Faust agent to outcomes confirmed, in micro-batches.

A batch is prepared (decoded, tagged, its outputs encoded), then sent and confirmed, then settled, and only then
released to the ledger. The next batches may be prepared while this one waits for its confirmations; sends keep the
order of the log, also when some must be repeated.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from streamproc.errors import DependencyDownError, SettingsError
from streamproc.events.record import InputRecord, OutputRecord
from streamproc.observability import metrics
from streamproc.observability.clock import Clock
from streamproc.observability.histograms import observe_all
from streamproc.pipeline.batcher import MicroBatcher
from streamproc.streams.breaker import Dependencies
from streamproc.streams.dead_letter import Cause
from streamproc.streams.delivery import Confirmation, Delivery
from streamproc.streams.gate import Gate
from streamproc.streams.ledger import OffsetLedger, Ticket
from streamproc.streams.outputs import Outputs

__all__ = ["DEAD", "Alone", "Lane", "LaneSize", "Prepared", "Work", "dead"]

log = structlog.get_logger(__name__)

DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What becomes of one record.

    ``state`` is the work's own: whatever :meth:`Work.settle` needs to know of the record.
    """

    record: InputRecord
    outputs: tuple[OutputRecord, ...]
    outcome: str
    state: Any = None


class Alone(Protocol):
    """Which records are to be taken alone, because a process may have ended with them."""

    def suspected(self, ticket: Ticket) -> bool:
        """Whether this is one of them."""
        ...

    def quiet(self) -> contextlib.AbstractAsyncContextManager[None]:
        """No other agent does anything while it lasts."""
        ...

    async def begin(self, ticket: Ticket) -> Cause | None:
        """Announce one; returns why it is dead instead, or None. Nothing else is under way."""
        ...

    async def end(self) -> None:
        """What was begun is done."""
        ...


class Work(Protocol):
    """What an agent does with records."""

    name: str
    stage: str
    """Named in dead letters."""

    async def prepare(self, records: Sequence[InputRecord]) -> Sequence[Prepared]:
        """Give what becomes of each record, in order. Nothing is sent before all of it is returned."""
        ...

    async def settle(self, prepared: Sequence[Prepared]) -> Sequence[Prepared]:
        """Do what comes after the outputs are confirmed; give what is to be sent because that failed."""
        ...


@dataclass(frozen=True)
class LaneSize:
    """How much a lane takes at a time."""

    batch_size: int
    linger_seconds: float
    batches_under_way: int = 4
    """Batches between preparation and confirmation; 1 where a batch must see what the one before it settled."""
    batches_in_preparation: int = 2
    """While one is with the models, which need no interpreter, the candidates of another are recalled."""


@dataclass(slots=True)
class _Batch:
    tickets: list[Ticket]
    prepared: list[Prepared]
    repeated: bool = False
    queued: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once its turn to send has come, or never will."""
    confirmed: asyncio.Event = field(default_factory=asyncio.Event)


class Lane:
    """Carries the records of one agent to their outcomes."""

    def __init__(
        self,
        work: Work,
        *,
        size: LaneSize,
        ledger: OffsetLedger,
        outputs: Outputs,
        dependencies: Dependencies,
        gate: Gate,
        clock: Clock,
        alone: Alone | None = None,
    ) -> None:
        self._work = work
        self._alone = alone
        self._ledger = ledger
        self._outputs = outputs
        self._dependencies = dependencies
        self._gate = gate
        self._clock = clock
        self._batcher: MicroBatcher[tuple[Ticket, InputRecord]] = MicroBatcher(
            size=size.batch_size,
            linger_seconds=size.linger_seconds,
            capacity=2 * size.batch_size,
            clock=clock,
        )
        self._slots = asyncio.Semaphore(size.batches_under_way)
        self._preparing = asyncio.Semaphore(size.batches_in_preparation)
        self._sending = asyncio.Lock()
        self._last: _Batch | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        # From its first scrape on the series stands at 0: an alert misses the increase of one that is born with it.
        metrics.EVENTS.labels(self.name, DEAD)

    @property
    def name(self) -> str:
        """The agent's name."""
        return self._work.name

    async def accept(self, ticket: Ticket, record: InputRecord) -> None:
        """Take a record; waits while the lane is full."""
        item = (ticket, record)
        if not self._batcher.offer(item):
            await self._batcher.put(item)

    @contextlib.asynccontextmanager
    async def running(self, delivery: Delivery) -> AsyncIterator[None]:
        """Work while the block runs; an error of the lane ends the block."""
        try:
            async with asyncio.TaskGroup() as group:
                loop = group.create_task(self._loop(group, delivery), name=f"{self.name} lane")
                try:
                    yield
                finally:
                    loop.cancel()
        except BaseExceptionGroup as errors:
            # One lane, one failure: the first says what happened, without the group around it.
            raise errors.exceptions[0] from None

    async def drain(self, seconds: float) -> bool:
        """Finish the batches under way and forget the rest; return whether all of them were finished in time.

        What is not finished is cancelled. Records that are forgotten keep their offsets uncommitted: whoever gets
        their partitions reads them again.
        """
        self._batcher.clear()
        under_way = set(self._under_way)
        if not under_way:
            return True
        _, late = await asyncio.wait(under_way, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
        return not late

    async def _loop(self, group: asyncio.TaskGroup, delivery: Delivery) -> None:
        while True:
            await self._slots.acquire()
            try:
                await self._gate.wait_open()
                taken = await self._batcher.take()
                await self._gate.wait_open()
            except BaseException:
                self._slots.release()
                raise
            if self._alone is None or not any(self._alone.suspected(ticket) for ticket, _ in taken):
                self._start(group, self._carry(taken, delivery))
                continue
            self._slots.release()
            await self.until_idle()
            async with self._alone.quiet():
                for each in taken:
                    await self._gate.wait_open()
                    await self._slots.acquire()
                    self._start(group, self._carry_alone(each, delivery, self._alone))
                    await self.until_idle()

    async def _carry_alone(self, taken: tuple[Ticket, InputRecord], delivery: Delivery, alone: Alone) -> None:
        ticket, _ = taken
        suspected = alone.suspected(ticket)
        verdict = await alone.begin(ticket) if suspected else None
        await self._carry([taken], delivery, verdict)
        if suspected:
            await alone.end()

    def _start(self, group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> None:
        """Let a batch get under way; holds a slot on entry."""
        task = group.create_task(work, name=f"{self.name} batch")
        self._under_way.add(task)
        task.add_done_callback(self._finished)

    async def until_idle(self) -> None:
        """Return when no batch is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._slots.release()

    async def _carry(
        self, taken: Sequence[tuple[Ticket, InputRecord]], delivery: Delivery, verdict: Cause | None = None
    ) -> None:
        # A partition may have been lost while its records waited in the batcher.
        kept = [(ticket, record) for ticket, record in taken if not ticket.dropped]
        if not kept:
            return
        metrics.BATCH_EVENTS.labels(self.name).observe(len(kept))
        # Taken before anything is awaited: batches queue for sending in the order in which they were read.
        batch = _Batch([ticket for ticket, _ in kept], [])
        previous, self._last = self._last, batch
        try:
            async with self._preparing:
                began = self._clock.monotonic()
                records = [record for _, record in kept]
                if verdict is None:
                    batch.prepared = list(await self._work.prepare(records))
                else:
                    batch.prepared = [dead(self._outputs, record, verdict) for record in records]
                metrics.STAGE_SECONDS.labels(self.name, "process").observe(self._clock.monotonic() - began)
            if previous is not None:
                await previous.queued.wait()
            await self._sending.acquire()
            batch.queued.set()
            await self._deliver(batch, previous, delivery)
        finally:
            # Also when cancelled: the next batch must not wait for this one for ever.
            batch.queued.set()
            batch.confirmed.set()
        began = self._clock.monotonic()
        failed = await self._work.settle(batch.prepared)
        metrics.STAGE_SECONDS.labels(self.name, "settle").observe(self._clock.monotonic() - began)
        if failed:
            await self._sending.acquire()
            await self._deliver(_Batch([], list(failed)), None, delivery)
        for ticket in batch.tickets:
            self._ledger.release(ticket)
        died = {item.record.source for item in failed}
        self._observe([*failed, *(item for item in batch.prepared if item.record.source not in died)])

    def _observe(self, prepared: Sequence[Prepared]) -> None:
        for outcome, records in Counter(item.outcome for item in prepared).items():
            metrics.EVENTS.labels(self.name, outcome).inc(records)
        now = time.time()
        stamps = [item.record.source.timestamp_ms for item in prepared]
        delays = [max(0.0, now - stamp / 1000) for stamp in stamps if stamp > 0]
        observe_all(metrics.OUTCOME_DELAY_SECONDS.labels(self.name), delays)

    async def _deliver(self, batch: _Batch, previous: _Batch | None, delivery: Delivery) -> None:
        """Send and confirm a batch; holds ``_sending`` on entry."""
        began = self._clock.monotonic()
        # Whether what comes before may be sent again after ours; what is confirmed by now is not.
        overtaking = previous is not None and not previous.confirmed.is_set()
        try:
            records = _records(batch)
            sent = await delivery.send(records)
        finally:
            self._sending.release()
        done = await self._confirm(batch, records, sent, delivery)
        if previous is not None and overtaking:
            await previous.confirmed.wait()
            # It was sent again, after ours: ours again too, so that the last record of a key stands last.
            done = done and not previous.repeated
        while not done:
            batch.repeated = True
            records = _records(batch)
            done = await self._confirm(batch, records, await delivery.send(records), delivery)
        metrics.STAGE_SECONDS.labels(self.name, "deliver").observe(self._clock.monotonic() - began)

    async def _confirm(
        self,
        batch: _Batch,
        records: Sequence[OutputRecord],
        sent: Sequence[Confirmation | Exception],
        delivery: Delivery,
    ) -> bool:
        try:
            refused = await delivery.confirm(records, sent)
        except DependencyDownError as error:
            await self._dependencies.wait_until_up(error)
            return False
        if not any(refused):
            return True
        at = 0
        for index, item in enumerate(batch.prepared):
            reasons = [reason for reason in refused[at : at + len(item.outputs)] if reason is not None]
            at += len(item.outputs)
            if not reasons:
                continue
            if item.outcome == DEAD:
                raise SettingsError(f"a dead letter does not fit its topic: {reasons[0]}") from reasons[0]
            batch.prepared[index] = dead(self._outputs, item.record, Cause(reasons[0], self._work.stage))
        return False


def dead(outputs: Outputs, record: InputRecord, cause: Cause) -> Prepared:
    """The end of a record that no work can be done on: its dead letter."""
    reason = type(cause.error).__name__
    metrics.DEAD_LETTERS.labels(cause.stage, reason).inc()
    log.warning(
        "dead letter",
        source=str(record.source.position),
        reason=reason,
        message=str(cause.error)[:300],
        stage=cause.stage,
        attempts=cause.attempts,
    )
    return Prepared(record, (outputs.dead(record, cause),), DEAD)


def _records(batch: _Batch) -> list[OutputRecord]:
    return [output for item in batch.prepared for output in item.outputs]
