"""Faust's intake as this package replaces it: nothing lost, order kept, commits never ahead of acks."""

import asyncio
import uuid
from collections import Counter
from typing import Any

from aiokafka import AIOKafkaProducer
from faust.types import TP

from tests.servers.kafka import KafkaServer
from tests.streams.faust_apps import (
    Broker,
    Seen,
    group,
    make_app,
    running,
    until,
    until_committed,
)


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
