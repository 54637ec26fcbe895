"""Faust's intake as this package replaces it: nothing lost, order kept, commits never ahead of acks."""

import asyncio
import contextlib
import hashlib
import inspect
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import version
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faust.transport.conductor import Conductor, ConductorCompiler
from faust.transport.consumer import Consumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP
from mode.supervisors import CrashingSupervisor
from mode.utils.queues import FlowControlQueue, ThrowableQueue

from streamproc.streams.embedded import EmbeddedBroker
from streamproc.streams.fast_consumer import FastApp
from tests.servers.kafka import KafkaServer

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


@pytest.fixture(params=["embedded", "kafka"])
def broker(request: pytest.FixtureRequest) -> Any:
    if request.param == "kafka":
        yield Broker(request.getfixturevalue("kafka_bootstrap"))
        return
    with EmbeddedBroker() as embedded:
        yield Broker(embedded.bootstrap, embedded)


@pytest.fixture
def kafka(kafka_bootstrap: str) -> Broker:
    return Broker(kafka_bootstrap)


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


async def test_every_record_arrives_once_in_order_and_is_committed(broker: Broker) -> None:
    topic, seen = await broker.topic(), Seen()
    await broker.fill(topic, range(1000))
    app = make_app(broker, group())
    app.agent(app.topic(topic))(seen)
    async with running(app):
        await until(lambda: len(seen.messages) >= 1000)
        await broker.fill(topic, range(1000, 1500))
        await until(lambda: len(seen.messages) >= 1500)
        await until_committed(broker, app, topic, seen.ends())
    assert sorted(seen.numbers) == list(range(1500))
    assert seen.in_order()


async def test_events_carry_key_value_headers_and_tombstones(broker: Broker) -> None:
    topic, seen = await broker.topic(1), Seen()
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        await producer.send_and_wait(topic, None, key=b"k", headers=[("a", b"1"), ("a", b"2")])
    app = make_app(broker, group())
    app.agent(app.topic(topic))(seen)
    async with running(app):
        await until(lambda: len(seen.messages) == 1)
    (message,) = seen.messages
    assert (message.key, message.value) == (b"k", None)
    assert list(message.headers) == [("a", b"1"), ("a", b"2")]


async def test_what_is_not_acked_is_read_again_by_the_next_worker(kafka: Broker) -> None:
    topic, name = await kafka.topic(1), group()
    await kafka.fill(topic, range(100))
    held: list[Any] = []

    async def acks_all_but_one(stream: Any) -> None:
        async for event in stream.noack().events():
            held.append(event)
            # The later ones are acked too: a commit must not pass the one that is left out.
            if event.message.offset != 40:
                event.ack()

    app = make_app(kafka, name)
    app.agent(app.topic(topic))(acks_all_but_one)
    async with running(app):
        await until(lambda: len(held) == 100)
        await until_committed(kafka, app, topic, {0: 40})
        await asyncio.sleep(0.5)
    assert await kafka.committed(name, topic, 1) == [40]
    seen = Seen()
    again = make_app(kafka, name)
    again.agent(again.topic(topic))(seen)
    async with running(again):
        await until(lambda: len(seen.messages) >= 60)
    assert seen.numbers == list(range(40, 100))


async def test_pausing_in_the_middle_of_a_stream_loses_nothing(broker: Broker) -> None:
    topic, seen = await broker.topic(2), Seen()
    await broker.fill(topic, range(2000))
    app = make_app(broker, group(), broker_max_poll_records=50)
    app.agent(app.topic(topic))(seen)
    async with running(app):
        consumer = app.consumer
        for round_ in range(20):
            reached = len(seen.messages)
            tps = {TP(topic, round_ % 2)}
            consumer.pause_partitions(tps)
            await asyncio.sleep(0.01)
            consumer.resume_partitions(tps)
            await until(lambda reached=reached: len(seen.messages) > reached or len(seen.messages) == 2000)
        await until(lambda: len(seen.messages) >= 2000)
        await until_committed(broker, app, topic, seen.ends())
    assert sorted(seen.numbers) == list(range(2000))
    assert seen.in_order()


async def test_a_paused_partition_is_fetched_no_more_until_resumed(broker: Broker) -> None:
    topic, seen = await broker.topic(2), Seen()
    app = make_app(broker, group())
    app.agent(app.topic(topic))(seen)
    async with running(app):
        app.consumer.pause_partitions({TP(topic, 0)})
        # The fetch that was under way may still bring records; after it none come.
        await asyncio.sleep(1.5)
        await broker.fill(topic, range(50), partition=0)
        await broker.fill(topic, range(50, 100), partition=1)
        await until(lambda: len(seen.messages) >= 50)
        await asyncio.sleep(0.3)
        assert {message.partition for message in seen.messages} == {1}
        app.consumer.resume_partitions({TP(topic, 0)})
        await until(lambda: len(seen.messages) == 100, seconds=5)


async def test_a_stalled_agent_bounds_its_queue_and_stops_nobody_else(broker: Broker) -> None:
    stalled_topic, other_topic = await broker.topic(2), await broker.topic(2)
    stalled, other = Seen(), Seen()
    stalled.hold.clear()
    app = make_app(broker, group(), stream_buffer_maxsize=100, broker_max_poll_records=20)
    app.agent(app.topic(stalled_topic), name="stalled")(stalled)
    app.agent(app.topic(other_topic), name="other")(other)
    await broker.fill(stalled_topic, range(1000))
    async with running(app):
        queue = next(channel.queue for channel in app.topics if stalled_topic in channel.topics)
        await until(lambda: queue.qsize() >= queue.pressure_high_size)
        await broker.fill(other_topic, range(300))
        await until(lambda: len(other.messages) == 300, seconds=10)
        # 80 % of the limit, and one fetch a partition on top.
        assert queue.qsize() <= 80 + 2 * 20
        stalled.hold.set()
        await until(lambda: len(stalled.messages) == 1000, seconds=10)
    assert stalled.in_order()
    assert sorted(stalled.numbers) == list(range(1000))


async def test_a_partition_paused_while_its_queue_is_full_stays_paused(broker: Broker) -> None:
    topic, seen = await broker.topic(1), Seen()
    seen.hold.clear()
    app = make_app(broker, group(), stream_buffer_maxsize=100, broker_max_poll_records=20)
    app.agent(app.topic(topic))(seen)
    await broker.fill(topic, range(1000))
    async with running(app):
        tps = {TP(topic, 0)}
        await until(lambda: tps == app.consumer._buffered_partitions)
        app.consumer.pause_partitions(tps)
        seen.hold.set()
        await asyncio.sleep(0.5)
        assert len(seen.messages) < 200
        app.consumer.resume_partitions(tps)
        await until(lambda: len(seen.messages) == 1000)
    assert seen.in_order()


async def test_a_record_does_not_wait_for_idle_topics(broker: Broker) -> None:
    topics, seen = [await broker.topic(2) for _ in range(3)], Seen()
    app = make_app(broker, group())
    for topic in topics:
        app.agent(app.topic(topic), name=topic)(seen)
    async with running(app), AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        await producer.send_and_wait(topics[0], b"0", partition=0)
        await until(lambda: len(seen.messages) == 1)
        # Each waits for a fetch that was begun without it; Faust lets the broker hold that one for 1.5 s.
        async with asyncio.timeout(2):
            for number in range(1, 11):
                await producer.send_and_wait(topics[0], b"%d" % number, partition=0)
                await until(lambda number=number: len(seen.messages) > number)


async def test_a_seek_reads_again_from_there(broker: Broker) -> None:
    topic, seen = await broker.topic(1), Seen()
    await broker.fill(topic, range(50))
    app = make_app(broker, group())
    app.agent(app.topic(topic))(seen)
    async with running(app):
        await until(lambda: len(seen.messages) == 50)
        await app.consumer.seek(TP(topic, 0), 30)
        await until(lambda: len(seen.messages) == 70)
    assert seen.numbers == [*range(50), *range(30, 50)]


async def test_commits_pass_gaps_in_the_log_also_after_offset_zero(kafka: Broker) -> None:
    topic, name, seen = await kafka.topic(1), group(), Seen()
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=uuid.uuid4().hex)
    async with producer:
        # Every transaction leaves a marker behind its record: offsets 0, 2, 4, …
        for number in range(5):
            async with producer.transaction():
                await producer.send_and_wait(topic, b"%d" % number, partition=0)
    app = make_app(kafka, name)
    app.agent(app.topic(topic))(seen)
    async with running(app):
        await until(lambda: len(seen.messages) == 5)
        await until_committed(kafka, app, topic, {0: 9})
    assert [message.offset for message in seen.messages] == [0, 2, 4, 6, 8]


async def test_two_workers_share_partitions_and_hand_them_over_without_loss(kafka: Broker) -> None:
    topic, name = await kafka.topic(6), group()
    seen = [Seen(), Seen()]
    apps = [make_app(kafka, name, broker_commit_interval=30.0) for _ in seen]
    for app, agent in zip(apps, seen, strict=True):
        app.agent(app.topic(topic))(agent)
    total = 0

    async def feed() -> None:
        nonlocal total
        for _ in range(60):
            await kafka.fill(topic, range(total, total + 50))
            total += 50
            await asyncio.sleep(0.05)

    async with running(apps[0]):
        feeding = asyncio.create_task(feed())
        await until(lambda: len(seen[0].messages) > 500)
        async with running(apps[1]):
            await until(lambda: len(seen[1].messages) > 300)
        await feeding
        await until(lambda: len({*seen[0].numbers, *seen[1].numbers}) == 3000)
    counts = Counter(seen[0].numbers) + Counter(seen[1].numbers)
    assert sorted(counts) == list(range(3000))
    # The commit interval is half a minute, so only the commit at the revoke can keep repeats this few.
    assert sum(counts.values()) - len(counts) < 100


async def test_an_ack_from_before_a_rebalance_does_not_count(kafka: Broker) -> None:
    topic, name = await kafka.topic(1), group()
    await kafka.fill(topic, range(10))
    events: list[Any] = []

    async def keeps(stream: Any) -> None:
        async for event in stream.noack().events():
            events.append(event)  # noqa: PERF401 - the stream has no end

    app = make_app(kafka, name)
    app.agent(app.topic(topic))(keeps)
    async with running(app):
        await until(lambda: len(events) == 10)
        before = events[:]
        thread = app.consumer._thread

        async def rejoin() -> None:
            thread._consumer._coordinator.request_rejoin()

        await thread.call_thread(rejoin)
        await until(lambda: len(events) == 20)
        for event in before[5:]:
            event.ack()
        await asyncio.sleep(0.5)
        assert await kafka.committed(name, topic, 1) == [None]
        for event in events[10:13]:
            event.ack()
        await until_committed(kafka, app, topic, {0: 3})
    assert [int(event.message.value) for event in events] == [*range(10), *range(10)]


async def test_work_finished_in_the_revoke_handler_is_committed(kafka: Broker) -> None:
    topic, name = await kafka.topic(1), group()
    await kafka.fill(topic, range(20))
    events: list[Any] = []

    async def keeps(stream: Any) -> None:
        async for event in stream.noack().events():
            events.append(event)  # noqa: PERF401 - the stream has no end

    app = make_app(kafka, name, broker_commit_interval=30.0)
    app.agent(app.topic(topic))(keeps)

    async def finish(app: Any, revoked: Any = None, **_: Any) -> None:
        for event in events[:20]:
            event.ack()

    app.on_partitions_revoked.connect(finish)
    async with running(app):
        await until(lambda: len(events) == 20)
        other, seen = make_app(kafka, name), Seen()
        other.agent(other.topic(topic))(seen)
        async with running(other):
            await until(lambda: app.consumer_generation_id >= 2)
            assert await kafka.committed(name, topic, 1) == [20]
    assert len(events) == 20


async def test_a_restarted_broker_loses_nothing(kafka_server: KafkaServer) -> None:
    broker, seen = Broker(kafka_server.bootstrap), Seen()
    topic = await broker.topic(3)
    app = make_app(broker, group())
    app.agent(app.topic(topic))(seen)
    async with running(app):
        await broker.fill(topic, range(500))
        await until(lambda: len(seen.messages) >= 200)
        await asyncio.to_thread(kafka_server.restart)
        await broker.fill(topic, range(500, 1000))
        await until(lambda: len(set(seen.numbers)) == 1000, seconds=60)


async def test_values_that_need_a_decoder_take_fausts_own_way(broker: Broker) -> None:
    topic, values = await broker.topic(2), []
    await broker.fill(topic, range(100))

    async def agent(stream: Any) -> None:
        async for event in stream.noack().events():
            values.append(event.value)
            event.ack()

    app = make_app(broker, group())
    app.agent(app.topic(topic, value_serializer="json"))(agent)
    async with running(app):
        await until(lambda: len(values) == 100)
    assert sorted(values) == list(range(100))


async def test_two_agents_may_read_one_topic(broker: Broker) -> None:
    topic, first, second = await broker.topic(2), Seen(), Seen()
    await broker.fill(topic, range(100))
    app = make_app(broker, group())
    app.agent(app.topic(topic), name="first")(first)
    app.agent(app.topic(topic), name="second")(second)
    async with running(app):
        await until(lambda: len(first.messages) == len(second.messages) == 100)
        await until_committed(broker, app, topic, first.ends())
    assert first.in_order()
    assert second.in_order()


async def test_a_stream_that_acks_by_itself_is_fausts_own(broker: Broker) -> None:
    topic, values = await broker.topic(2), []
    await broker.fill(topic, range(100))

    async def agent(stream: Any) -> None:
        async for event in stream.events():
            values.append(int(event.value))  # noqa: PERF401 - the stream has no end

    app = make_app(broker, group())
    app.agent(app.topic(topic))(agent)
    async with running(app):
        await until(lambda: len(values) == 100)
        await until(lambda: sum(app.consumer._committed_offset.values()) == 100)
    assert sorted(values) == list(range(100))


REPLACED = {
    AIOKafkaConsumerThread._create_worker_consumer: "c2701bfc3e6f",
    AIOKafkaConsumerThread._fetch_records: "39a2c6c79fc1",
    Conductor._build_handler: "5c071d127798",
    Conductor._compile_message_handler: "9fbc0538097a",
    Conductor._update_indices: "619b3247b96a",
    ConductorCompiler.build: "837cf521368c",
    Consumer._commit_tps: "a20e230b05ae",
    Consumer._drain_messages: "44a2500309e8",
    Consumer._new_offset: "1d2c7ea89a7a",
    Consumer._wait_next_records: "6218e1969a63",
    Consumer.ack: "5fcf41cf4515",
    Consumer.getmany: "4b168d84882a",
    Consumer.on_buffer_drop: "4b57e8a418d5",
    Consumer.on_buffer_full: "c8961679e0bc",
    Consumer.on_partitions_assigned: "29ce96596f05",
    Consumer.on_partitions_revoked: "d04b7ae72c6f",
    Consumer.pause_partitions: "27a1c94bdacd",
    Consumer.perform_seek: "0e8c130ff4b0",
    Consumer.resume_partitions: "afe6b7c02a41",
    Consumer.seek: "b86a9fe05f95",
    FlowControlQueue.in_pressure_high_state: "3165f1488019",
    ThrowableQueue.force_put_nowait: "e029f3d27824",
    faust.App._new_transport: "42db531312dd",
    faust.App._on_partitions_revoked: "d5c895bbe57d",
    faust.Event.__init__: "a1d3454dce42",
    faust.Stream._py_aiter: "3a48ee257a65",
    faust.Stream.events: "c62f4dd3a73f",
}
"""What fast_consumer.py replaces, extends or copies, with the hash of its source in faust-streaming 0.15.3."""


def digest(function: Any) -> str:
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:12]


def test_faust_is_the_version_that_the_overrides_were_written_against() -> None:
    assert version("faust-streaming") == "0.15.3"


@pytest.mark.parametrize("function", REPLACED, ids=lambda function: function.__qualname__)
def test_what_is_replaced_is_still_what_it_was(function: Any) -> None:
    assert digest(function) == REPLACED[function], (
        "read what changed in Faust, adapt fast_consumer.py, then this hash"
    )
