"""Where reading begins after an assignment, whatever happened during it."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from faust.types import TP

from streamproc.streams.fast_intake.fetch_thread import FetchThread
from tests.streams.faust_apps import Broker, Seen, group, make_app, running, until


async def test_a_partition_without_a_commit_is_read_again_from_its_begin(broker: Broker) -> None:
    topic, seen = await broker.topic(1), Seen()
    await broker.fill(topic, range(50))
    app = make_app(broker, group(), broker_commit_interval=60.0)
    app.agent(app.topic(topic))(seen)
    async with running(app):
        await until(lambda: len(seen.messages) == 50)
        # As Faust does after an assignment.
        await app.consumer.perform_seek()
        await until(lambda: len(seen.messages) == 100)
    assert seen.numbers == [*range(50), *range(50)]


async def test_a_seek_that_fails_is_tried_until_it_succeeds(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, seen = await broker.topic(2), Seen()
    await broker.fill(topic, range(300))
    seek, failures = FetchThread.seek_to_committed, [TimeoutError("slow"), RuntimeError("rebalancing")]

    async def failing(thread: FetchThread) -> Mapping[TP, int | None]:
        if failures:
            raise failures.pop()
        return await seek(thread)

    monkeypatch.setattr(FetchThread, "seek_to_committed", failing)
    app = make_app(broker, group())
    app.agent(app.topic(topic))(seen)
    async with running(app):
        await until(lambda: len(seen.messages) == 300)
    assert not failures
    assert sorted(seen.numbers) == list(range(300))
    assert seen.in_order()


async def test_a_seek_that_outlasts_every_patience_does_not_end_the_reading(
    kafka: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust's recovery waits for its seek as long as for a request, and then never again resumes the flow."""
    topic, seen = await kafka.topic(2), Seen()
    await kafka.fill(topic, range(100))
    seek, slow = FetchThread.seek_to_committed, [True]

    async def slow_once(thread: FetchThread) -> Mapping[TP, int | None]:
        if slow:
            slow.clear()
            await asyncio.sleep(3600)
        return await seek(thread)

    monkeypatch.setattr(FetchThread, "seek_to_committed", slow_once)
    app = make_app(kafka, group(), broker_session_timeout=6.0, broker_request_timeout=6.0)
    app.agent(app.topic(topic))(seen)
    async with running(app):
        await until(lambda: len(seen.messages) == 100)
        await kafka.fill(topic, range(100, 150))
        await until(lambda: len(seen.messages) == 150)


async def test_nothing_is_read_before_the_app_has_taken_in_its_assignment(broker: Broker) -> None:
    """What an app does with an assignment, such as forgetting the work of the last one, would undo it."""
    topic, seen = await broker.topic(2), Seen()
    await broker.fill(topic, range(100))
    app = make_app(broker, group())
    app.agent(app.topic(topic))(seen)
    seen_at_assignment: list[int] = []

    async def taking_in(app: Any, assigned: Any, **_: Any) -> None:
        assert assigned
        # Faust lets an assignment that was overtaken resume the flow meanwhile.
        app.flow_control.resume()
        app.consumer.resume_flow()
        await asyncio.sleep(0.5)
        seen_at_assignment.append(len(seen.messages))

    app.on_partitions_assigned.connect(taking_in)
    async with running(app):
        await until(lambda: len(seen.messages) == 100)
    assert set(seen_at_assignment) == {0}
