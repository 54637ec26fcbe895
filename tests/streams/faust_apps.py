"""Faust apps for tests of the intake, and the brokers under them."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faust.types import TP
from mode.supervisors import CrashingSupervisor

from streamproc.streams.embedded import EmbeddedBroker
from streamproc.streams.fast_intake.app import FastApp

Body = Callable[[Any], Awaitable[None]]
CreateTopic = Callable[[str, int], Awaitable[None]]


class Broker:
    """Where a test's topics are: an address and a way to make a topic."""

    def __init__(self, bootstrap: str, embedded: EmbeddedBroker | None = None) -> None:
        self.bootstrap = bootstrap
        self.embedded = embedded

    async def topic(self, partitions: int = 4) -> str:
        name = f"in-{uuid.uuid4().hex[:8]}"
        if self.embedded is not None:
            self.embedded.create_topic(name, partitions)
            return name
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(name, partitions, 1)])
        while (await admin.describe_topics([name]))[0]["error_code"]:  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(0.05)
        await admin.close()
        return name

    async def fill(self, topic: str, numbers: range, partition: int | None = None) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=5) as producer:
            for number in numbers:
                key = b"key %d" % (number % 50)
                await producer.send(topic, b"%d" % number, key=key, partition=partition)
            await producer.flush()

    async def committed(self, group: str, topic: str, partitions: int = 4) -> list[int | None]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, group_id=group, enable_auto_commit=False
        )
        consumer.assign([TopicPartition(topic, number) for number in range(partitions)])
        async with consumer:
            return [await consumer.committed(TopicPartition(topic, number)) for number in range(partitions)]


def make_app(broker: Broker, group: str, **options: Any) -> FastApp:
    return FastApp(
        group,
        **{
            "broker": f"kafka://{broker.bootstrap}",
            "key_serializer": "raw",
            "value_serializer": "raw",
            "autodiscover": False,
            "web_enabled": False,
            "topic_disable_leader": True,
            "topic_allow_declare": False,
            "reply_create_topic": False,
            "stream_wait_empty": False,
            "agent_supervisor": CrashingSupervisor,
            "consumer_auto_offset_reset": "earliest",
            "broker_commit_interval": 0.2,
            "broker_session_timeout": 6.0,
            "broker_heartbeat_interval": 0.5,
            "broker_max_poll_records": 100,
            "stream_buffer_maxsize": 600,
            **options,
        },
    )


@contextlib.asynccontextmanager
async def running(app: FastApp) -> AsyncIterator[FastApp]:
    app._create_directories = lambda: None
    await app.start()
    try:
        yield app
    finally:
        await app.stop()


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


async def until_committed(broker: Broker, app: FastApp, topic: str, wanted: dict[int, int]) -> None:
    """Wait until the app has committed these offsets, by partition."""
    await until(
        lambda: all(
            app.consumer._committed_offset.get(TP(topic, n)) == offset for n, offset in wanted.items()
        )
    )


class Seen:
    """An agent that keeps what it was given and acks it."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.hold = asyncio.Event()
        self.hold.set()

    async def __call__(self, stream: Any) -> None:
        async for event in stream.noack().events():
            await self.hold.wait()
            self.messages.append(event.message)
            event.ack()

    @property
    def numbers(self) -> list[int]:
        return [int(message.value) for message in self.messages]

    def in_order(self) -> bool:
        by_partition: dict[TP, list[int]] = {}
        for message in self.messages:
            by_partition.setdefault(message.tp, []).append(message.offset)
        return all(offsets == sorted(set(offsets)) for offsets in by_partition.values())

    def ends(self) -> dict[int, int]:
        ends: dict[int, int] = {}
        for message in self.messages:
            ends[message.partition] = max(ends.get(message.partition, 0), message.offset + 1)
        return ends


def group() -> str:
    return f"group-{uuid.uuid4().hex[:8]}"
