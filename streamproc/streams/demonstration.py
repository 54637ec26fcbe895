"""The whole system in one process: broker, worker, a producer and a consumer that counts outcomes.

The broker keeps some megabytes a partition and forgets the rest, so the producer never runs far ahead: it waits while
too much is without an outcome, or is not yet in the graph.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from streamproc.config import KIB, Settings
from streamproc.errors import DeadlineError
from streamproc.events.codec import decode_tagged
from streamproc.events.headers import source_position
from streamproc.events.position import SourcePosition
from streamproc.events.tagged import NoteTagged
from streamproc.events.topics import TopicNames
from streamproc.streams.admin import partition_counts
from streamproc.streams.connection import client_options
from streamproc.streams.dead_letter import DeadLetter, read_dead_letter
from streamproc.streams.embedded import KEPT_BYTES, EmbeddedBroker
from streamproc.streams.parts import Parts
from streamproc.streams.tally import Fate, Summary, Tally
from streamproc.streams.worker import EmbeddedWorker

__all__ = ["Demonstration", "NewRecord", "Seen", "demonstration"]

MAX_WAITING_RECORDS = 256
MAX_WAITING_BYTES = KEPT_BYTES // 10
"""What may be without an outcome. Outputs are several times the size of their note, and all of them may share a
partition: a tenth of what it keeps is on the safe side."""
MAX_GRAPH_BYTES = KEPT_BYTES // 2
"""What may wait on one partition of ``graph.notes``."""
POLL_SECONDS = 0.02
FETCH_WAIT_MS = 20
STALL_SECONDS = 120.0
"""No batch takes as long as this: something is lost, and saying so is better than waiting for it."""
APPLIED_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record for ``notes.new``."""

    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Seen:
    """An outcome as the consumer saw it; ``event`` is None for a deletion."""

    key: str
    fate: Fate
    event: NoteTagged | DeadLetter | None


@contextlib.asynccontextmanager
async def demonstration(
    settings: Settings, open_parts: Callable[[Settings], Awaitable[Parts]], show: Callable[[Seen], None]
) -> AsyncIterator["Demonstration"]:
    """Start everything; stop it at the end.

    Args:
        settings: the broker's address in them is replaced by the embedded one's.
        open_parts: the pipeline and the graph, for the settings that are in force.
        show: told each outcome once.

    Raises:
        TimeoutError: the worker did not become ready.
    """
    began = time.monotonic()
    with EmbeddedBroker(partition_counts(settings)) as broker:
        embedded = settings.model_copy(
            update={"kafka_bootstrap": broker.bootstrap, "kafka_security_protocol": "PLAINTEXT"}
        )
        parts = await open_parts(embedded)
        worker = EmbeddedWorker(embedded, parts)
        try:
            await worker.start()
            await worker.wait_ready()
            async with Demonstration(embedded, worker, parts, show) as running:
                running.start_up_seconds = time.monotonic() - began
                yield running
        finally:
            await worker.stop()


class Demonstration:
    """A running system: publish records, watch their outcomes."""

    def __init__(
        self, settings: Settings, worker: EmbeddedWorker, parts: Parts, show: Callable[[Seen], None]
    ) -> None:
        self._settings = settings
        self._names = TopicNames(settings.topic_prefix)
        self._worker = worker
        self._parts = parts
        self._show = show
        self._tally = Tally()
        self._sending_records = 0
        self._sending_bytes = 0
        self._graph = _GraphBacklog(self._names.graph_notes)
        self._tasks: list[asyncio.Task[None]] = []
        self.start_up_seconds = 0.0

    async def __aenter__(self) -> Self:
        options = client_options(self._settings)
        self._producer = AIOKafkaProducer(
            **options, acks="all", linger_ms=2, max_request_size=self._settings.max_output_bytes + 64 * KIB
        )
        await self._producer.start()
        self._consumer = AIOKafkaConsumer(
            self._names.notes_tagged,
            self._names.notes_dead,
            self._names.graph_notes,
            **options,
            auto_offset_reset="earliest",
            # The embedded broker answers a fetch when its time is up, also when there is something to tell.
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=self._settings.max_output_bytes + 64 * KIB,
        )
        await self._consumer.start()
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._follow_graph())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._consumer.stop()
        await self._producer.stop()

    @property
    def summary(self) -> Summary:
        """The figures so far."""
        return self._tally.summary(self.start_up_seconds)

    async def publish(self, records: Iterable[NewRecord], per_second: float = 0.0) -> None:
        """Publish records as fast as the system takes them, or at a steady rate; return when all have an outcome.

        Raises:
            DeadlineError: outcomes have stopped coming.
            BaseException: the worker crashed; what it crashed of.
        """
        pending: list[asyncio.Task[None]] = []
        for number, record in enumerate(records):
            if per_second:
                await asyncio.sleep(1 / per_second if number else 0)
            await self._until(self._has_room)
            # Counted before it is sent: the tally knows of a record only when the broker has confirmed it.
            self._sending_records += 1
            self._sending_bytes += len(record.value or b"")
            pending.append(asyncio.create_task(self._publish(record)))
            if len(pending) >= MAX_WAITING_RECORDS // 4:
                await asyncio.gather(*pending)
                pending.clear()
        await asyncio.gather(*pending)
        await self._until(lambda: self._tally.waiting_records == 0)

    async def _publish(self, record: NewRecord) -> None:
        moment = time.monotonic()
        delivery = await self._producer.send(self._names.notes_new, key=record.key, value=record.value)
        sent = await delivery
        size = len(record.value or b"")
        self._tally.published(SourcePosition(sent.topic, sent.partition, sent.offset), moment, size)
        self._sending_records -= 1
        self._sending_bytes -= size

    def _has_room(self) -> bool:
        return (
            self._tally.waiting_records + self._sending_records < MAX_WAITING_RECORDS
            and self._tally.waiting_bytes + self._sending_bytes < MAX_WAITING_BYTES
            and self._graph.waiting_bytes() < MAX_GRAPH_BYTES
        )

    async def _until(self, holds: Callable[[], bool]) -> None:
        waiting, since = self._tally.waiting_records, time.monotonic()
        while not holds():
            if self._tally.waiting_records != waiting:
                waiting, since = self._tally.waiting_records, time.monotonic()
            elif time.monotonic() - since > STALL_SECONDS:
                raise DeadlineError(f"{waiting} notes have waited {STALL_SECONDS:.0f} s for their outcomes")
            if self._worker.crash is not None:
                raise self._worker.crash
            for task in self._tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(POLL_SECONDS)

    async def _watch(self) -> None:
        async for record in self._consumer:
            if record.topic == self._names.graph_notes:
                self._graph.written(record.partition, record.offset, len(record.value or b""))
            else:
                self._take(record)

    def _take(self, record: "ConsumerRecord[bytes, bytes]") -> None:
        moment = time.monotonic()
        key = (record.key or b"").decode("utf-8", "replace")
        event: NoteTagged | DeadLetter | None
        position: SourcePosition | None
        if record.topic == self._names.notes_dead:
            event = read_dead_letter(record.key, record.value, record.headers)
            position, fate = event.source.position, Fate.DEAD
        elif record.value is None:
            event, position, fate = None, source_position(record.headers), Fate.DELETED
        else:
            event, fate = decode_tagged(record.value), Fate.TAGGED
            position = source_position(record.headers)
        tags = len(event.tags) if isinstance(event, NoteTagged) else 0
        if position is not None and self._tally.outcome(position, fate, moment, tags):
            self._show(Seen(key, fate, event))

    async def _follow_graph(self) -> None:
        while True:
            self._graph.applied(await self._parts.graph.applied_offsets())
            await asyncio.sleep(APPLIED_POLL_SECONDS)


class _GraphBacklog:
    """Bytes on each partition of ``graph.notes`` that are not in the graph yet."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._waiting: dict[int, dict[int, int]] = {}

    def written(self, partition: int, offset: int, size: int) -> None:
        self._waiting.setdefault(partition, {})[offset] = size

    def applied(self, offsets: Mapping[tuple[str, int], int]) -> None:
        for (topic, partition), applied in offsets.items():
            if topic == self._topic and partition in self._waiting:
                waiting = self._waiting[partition]
                for offset in [offset for offset in waiting if offset <= applied]:
                    del waiting[offset]

    def waiting_bytes(self) -> int:
        return max((sum(sizes.values()) for sizes in self._waiting.values()), default=0)
