"""Records sent to Kafka, each delivery confirmed, with a bounded number of them on the way."""

import asyncio
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from streamproc.config import KIB, Settings
from streamproc.errors import DependencyDownError, SettingsError, StreamprocError
from streamproc.events.record import OutputRecord
from streamproc.streams.connection import client_options
from streamproc.streams.partitions import partitions_of

__all__ = ["Publisher"]

IN_FLIGHT_RECORDS = 1000
IN_FLIGHT_BYTES = 32 * 1024 * 1024
"""Enough to keep a broker busy; what is on the way is held in memory here and in aiokafka."""
REQUEST_SECONDS = 30.0
LINGER_MS = 5
BATCH_BYTES = 256 * KIB


class Publisher:
    """Sends records and waits for their deliveries; use it as an asynchronous context manager.

    Leaving it in good order confirms all that was sent. ``confirmed`` counts deliveries.

    Args:
        settings: how to connect.
        topics: full names of the topics that will be written; they must exist.
    """

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        self._settings = settings
        self._topics = tuple(topics)
        self._partitions: dict[str, tuple[int, ...]] = {}
        self._producer: AIOKafkaProducer | None = None
        self._in_flight: deque[tuple[OutputRecord, asyncio.Future[object]]] = deque()
        self._in_flight_bytes = 0
        self.confirmed = 0

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            SettingsError: Kafka does not answer to these settings, or a topic does not exist.
            DependencyDownError: Kafka cannot be reached.
        """
        self._partitions = await partitions_of(self._settings, self._topics)
        producer = AIOKafkaProducer(
            **client_options(self._settings),
            acks="all",
            # An idempotent producer of aiokafka tries for ever while the broker is away. This one gives up after
            # the request time-out; it still keeps the order within a partition, and a repeat under one key is harmless.
            enable_idempotence=False,
            linger_ms=LINGER_MS,
            max_batch_size=BATCH_BYTES,
            # The size that the topics take is checked by the broker; ours must not be the smaller limit.
            max_request_size=self._settings.max_output_bytes + 64 * KIB,
            request_timeout_ms=int(REQUEST_SECONDS * 1000),
        )
        try:
            await producer.start()
        except KafkaError as error:
            await producer.stop()
            raise DependencyDownError("Kafka", f"{self._settings.kafka_bootstrap}: {error}") from error
        self._producer = producer
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._producer is None:
            return
        try:
            if error is None:
                await self.flush()
        finally:
            for _, delivery in self._in_flight:
                # Failures behind the first one are told by it; asyncio would print each of them.
                delivery.add_done_callback(lambda done: done.cancelled() or done.exception())
            await self._producer.stop()

    async def send(self, record: OutputRecord, partition: int | None = None) -> None:
        """Send a record; wait for earlier ones while too many are on the way.

        Args:
            record: what to send.
            partition: where to; by the key if None, or if the topic has no such partition.

        Raises:
            SettingsError: the topic refuses this record, or this user.
            DependencyDownError: Kafka did not confirm a record in time.
        """
        if self._producer is None:
            raise RuntimeError("a publisher is entered before it sends")
        if partition not in self._partitions[record.topic]:
            partition = None
        while self._in_flight and (
            len(self._in_flight) >= IN_FLIGHT_RECORDS or self._in_flight_bytes >= IN_FLIGHT_BYTES
        ):
            await self._confirm_oldest()
        try:
            delivery = await self._producer.send(
                record.topic,
                key=record.key,
                value=record.value,
                headers=list(record.headers),
                partition=partition,
            )
        except KafkaError as error:
            raise self._explained(record, error) from error
        self._in_flight.append((record, delivery))
        self._in_flight_bytes += record.size

    async def flush(self) -> None:
        """Wait until every record that was sent is confirmed.

        Raises:
            SettingsError: a topic refuses a record, or this user.
            DependencyDownError: Kafka did not confirm a record in time.
        """
        while self._in_flight:
            await self._confirm_oldest()

    async def _confirm_oldest(self) -> None:
        record, delivery = self._in_flight.popleft()
        self._in_flight_bytes -= record.size
        try:
            await delivery
        except KafkaError as error:
            raise self._explained(record, error) from error
        self.confirmed += 1

    def _explained(self, record: OutputRecord, error: KafkaError) -> StreamprocError:
        what = f"the record with key {_readable(record.key)}"
        so_far = f"{self.confirmed} records before it were delivered."
        match error:
            case MessageSizeTooLargeError() | RecordListTooLargeError():
                return SettingsError(
                    f"Topic {record.topic} refuses {what}: its {record.size} bytes are more than max.message.bytes of "
                    f"the topic or message.max.bytes of the broker allows. Raise that limit. {so_far}"
                )
            case TopicAuthorizationFailedError():
                return SettingsError(
                    f"User {self._settings.kafka_sasl_username!r} may not write to topic {record.topic}. "
                    f"Grant it WRITE there. {so_far}"
                )
            case _:
                return DependencyDownError(
                    "Kafka",
                    f"{what} was not confirmed by topic {record.topic} ({_reason(error)}). {so_far} "
                    "Sending it again is safe: the last record of a key counts.",
                )


def _readable(key: bytes | None) -> str:
    return repr((key or b"").decode("utf-8", "replace")[:80])


def _reason(error: KafkaError) -> str:
    return str(error) or type(error).__name__
