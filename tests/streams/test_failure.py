import asyncio
import dataclasses
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import (
    BundleError,
    DecodeError,
    DependencyDownError,
    GraphMismatchError,
    RepeatedFailureError,
    TransientError,
)
from streamproc.observability.clock import OutageClock, SystemClock
from streamproc.streams.backoff import Backoff
from streamproc.streams.breaker import Dependencies
from streamproc.streams.failure import MOST_REFUSALS, Failed, FailurePolicy


class QuickClock(SystemClock):
    """Pauses take no time; they are counted."""

    def __init__(self):
        self.slept = []

    async def sleep(self, seconds):
        self.slept.append(seconds)
        await asyncio.sleep(0)


class Switch:
    """A dependency that is down for the next ``failures`` probes."""

    name = "Milvus"

    def __init__(self, failures=0):
        self.failures = failures
        self.probes = 0

    async def check(self):
        self.probes += 1
        if self.failures:
            self.failures -= 1
            raise DependencyDownError("Milvus", "refused")


def policy(switch=None, clock=None, attempt_seconds=5.0, max_attempts=3):
    clock = clock or QuickClock()
    outages = OutageClock(clock)
    dependencies = Dependencies((switch or Switch(),), outages, clock)
    return FailurePolicy("test", dependencies, clock, attempt_seconds, max_attempts), outages


def double_except(bad):
    async def work(items):
        for item in items:
            if item in bad:
                raise bad[item]
        return [2 * item for item in items]

    return work


async def test_a_batch_that_works_is_attempted_once():
    carrier, _ = policy()
    assert await carrier.carry([1, 2], double_except({})) == [2, 4]


async def test_poison_is_found_among_its_neighbours_without_a_retry():
    clock = QuickClock()
    carrier, _ = policy(clock=clock)
    results = await carrier.carry(list(range(8)), double_except({5: DecodeError("bad")}))
    assert [result for result in results if not isinstance(result, Failed)] == [0, 2, 4, 6, 8, 12, 14]
    assert isinstance(results[5].error, DecodeError)
    assert results[5].attempts == 1
    assert clock.slept == []


async def test_a_transient_error_is_tried_again_with_growing_pauses():
    clock = QuickClock()
    carrier, _ = policy(clock=clock)
    failures = [TransientError("busy"), TransientError("busy")]

    async def work(items):
        if failures:
            raise failures.pop()
        return list(items)

    assert await carrier.carry([1], work) == [1]
    assert len(clock.slept) == 2
    assert clock.slept[0] <= 0.1
    assert 0.1 <= clock.slept[1] <= 0.2


async def test_a_record_that_fails_alone_again_and_again_is_poison_and_its_neighbours_are_not():
    carrier, _ = policy()
    results = await carrier.carry(list(range(6)), double_except({2: ValueError("surprise")}))
    assert isinstance(results[2].error, RepeatedFailureError)
    assert results[2].attempts == 3
    assert "surprise" in str(results[2].error)
    assert [results[at] for at in (0, 1, 3, 4, 5)] == [0, 2, 6, 8, 10]


async def test_an_attempt_has_a_deadline():
    carrier, _ = policy(attempt_seconds=0.01, max_attempts=1)

    async def work(items):
        await asyncio.sleep(10)
        return items

    (result,) = await carrier.carry([1], work)
    assert isinstance(result.error, RepeatedFailureError)
    assert "DeadlineError" in str(result.error)


async def test_a_dependency_that_is_down_is_waited_for_and_costs_no_attempt():
    switch = Switch(failures=4)
    carrier, _ = policy(switch, max_attempts=1)
    down = [DependencyDownError("milvus", "refused")]

    async def work(items):
        if down:
            raise down.pop()
        return list(items)

    assert await carrier.carry([1, 2], work) == [1, 2]
    assert switch.probes == 5
    assert carrier.dependencies.down() == {}


def refused():
    return DependencyDownError("milvus", "code=65535: unexpected")


async def test_a_record_that_a_healthy_dependency_refuses_is_found_among_its_neighbours():
    carrier, _ = policy()
    results = await carrier.carry(list(range(6)), double_except({1: refused()}))
    assert isinstance(results[1].error, RepeatedFailureError)
    assert "65535" in str(results[1].error)
    assert [results[at] for at in (0, 2, 3, 4, 5)] == [0, 4, 6, 8, 10]


@pytest.mark.parametrize("items", [[1], [1, 2, 3, 4]])
async def test_where_a_dependency_that_answers_probes_refuses_everything_no_record_is_at_fault(items):
    """A server whose door opens before it can serve."""
    carrier, _ = policy()
    attempts = 0

    async def work(some):
        nonlocal attempts
        attempts += 1
        if attempts <= 150:
            raise refused()
        return [2 * item for item in some]

    assert await carrier.carry(items, work) == [2 * item for item in items]


async def test_a_record_that_was_refused_while_a_dependency_came_to_itself_is_tried_once_more():
    carrier, _ = policy()
    attempts = 0

    async def work(some):
        nonlocal attempts
        attempts += 1
        if attempts <= 2 * MOST_REFUSALS:  # the pair, then its first half
            raise refused()
        return [2 * item for item in some]

    assert await carrier.carry([1, 2], work) == [2, 4]


async def test_a_graph_that_is_lost_is_waited_for_and_no_record_is_at_fault():
    carrier, _ = policy(max_attempts=1)
    lost = [GraphMismatchError("a collection is gone")] * 3
    waited = []

    async def until_found(error):
        waited.append(str(error))

    async def work(items):
        if lost:
            raise lost.pop()
        return list(items)

    with pytest.raises(GraphMismatchError):
        await carrier.carry([1], work)
    assert await dataclasses.replace(carrier, when_lost=until_found).carry([1, 2], work) == [1, 2]
    assert waited == ["a collection is gone"] * 2


async def test_every_outage_is_noticed_also_while_another_lasts():
    milvus, kafka = Switch(failures=10**6), Switch(failures=10**6)
    kafka.name = "Kafka"
    clock = QuickClock()
    dependencies = Dependencies((milvus, kafka), OutageClock(clock), clock)
    await dependencies.notice()
    assert dependencies.down().keys() == {"Milvus", "Kafka"}
    milvus.failures = kafka.failures = 0
    async with asyncio.timeout(5):
        while dependencies.down():  # noqa: ASYNC110 - a breaker that closes has no event of its own
            await asyncio.sleep(0)


async def test_transient_errors_while_a_dependency_is_down_are_no_ones_fault():
    """A slow death: calls time out before anybody says that the server is gone."""
    switch = Switch()
    carrier, _ = policy(switch, max_attempts=2)
    attempts = 0

    async def work(items):
        nonlocal attempts
        attempts += 1
        if attempts <= 2:
            switch.failures = 2
            raise TransientError("timed out")
        return list(items)

    assert await carrier.carry([1], work) == [1]


async def test_what_a_person_must_put_right_ends_the_worker():
    carrier, _ = policy()
    with pytest.raises(BundleError):
        await carrier.carry([1, 2], double_except({2: BundleError("broken")}))


async def test_the_clock_of_ages_stands_still_during_an_outage():
    class Hand(QuickClock):
        now = 0.0

        def monotonic(self):
            return self.now

    clock = Hand()
    outages = OutageClock(clock)
    clock.now = 10.0
    outages.stop()
    outages.stop()
    clock.now = 100.0
    assert outages.monotonic() == 10
    outages.resume()
    clock.now = 110.0
    assert outages.monotonic() == 10
    outages.resume()
    clock.now = 115.0
    assert outages.monotonic() == 15


@given(st.sets(st.integers(0, 30)), st.integers(1, 31), st.integers(0, 2**16))
def test_exactly_the_bad_records_fail_whatever_the_batch(bad, size, seed):
    async def run():
        carrier, _ = policy(max_attempts=2)
        kinds = random.Random(seed)
        errors = {item: kinds.choice([DecodeError("x"), TransientError("x"), KeyError("x")]) for item in bad}
        results = await carrier.carry(list(range(size)), double_except(errors))
        assert [isinstance(result, Failed) for result in results] == [item in bad for item in range(size)]

    asyncio.run(run())


def test_pauses_grow_and_stay_bounded():
    backoff = Backoff(first_seconds=0.1, longest_seconds=5)
    chance = random.Random(1)
    pauses = [backoff.delay_seconds(attempt, chance) for attempt in range(1, 60)]
    assert all(0.05 <= pause <= 5 for pause in pauses)
    assert pauses[0] <= 0.1
    assert min(pauses[10:]) >= 2.5
