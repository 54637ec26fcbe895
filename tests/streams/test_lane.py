"""The lane with a producer that fails on demand: order, confirmation and release."""

import asyncio
import contextlib
import random

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.errors import FatalRecordError, SettingsError
from streamproc.events.position import Source, SourcePosition
from streamproc.events.record import InputRecord, OutputRecord
from streamproc.events.topics import TopicNames
from streamproc.observability.clock import OutageClock, SystemClock
from streamproc.streams.breaker import Dependencies
from streamproc.streams.dead_letter import Cause
from streamproc.streams.delivery import Delivery
from streamproc.streams.gate import Gate
from streamproc.streams.lane import Lane, LaneSize, Prepared
from streamproc.streams.ledger import OffsetLedger, Partition
from streamproc.streams.outputs import Outputs

PARTITION = Partition("notes.new", 0)


class QuickClock(SystemClock):
    async def sleep(self, seconds):
        await asyncio.sleep(0)


class Kafka:
    """Both the dependency, always up when probed, and the producer; ``log`` is what the broker has."""

    name = "Kafka"

    def __init__(self, chance=None, failing=0.0):
        self.log = []
        self.chance = chance or random.Random(0)
        self.failing = failing
        self.refuses = set()
        self.hold = None

    async def check(self):
        pass

    async def send(self, topic, value, key, *, headers):
        assert isinstance(headers, list)
        confirmation = asyncio.get_running_loop().create_future()
        if (topic, value) in self.refuses:
            confirmation.set_exception(MessageSizeTooLargeError())
        elif self.chance.random() < self.failing:
            confirmation.set_exception(KafkaTimeoutError())
        else:
            self.log.append((topic, key, value))
            if self.hold is None:
                confirmation.set_result(None)
            else:
                self.hold.append(confirmation)
        await asyncio.sleep(0)
        return confirmation


class Echo:
    """Each record comes out under its key; ``settled`` is what the second half saw."""

    name = "echo"
    stage = "echo"

    def __init__(self, seconds=0.0):
        self.settled = []
        self.batches = []
        self.seconds = seconds
        self.begun = asyncio.Event()

    async def prepare(self, records):
        self.batches.append([each.source.position.offset for each in records])
        self.begun.set()
        await asyncio.sleep(self.seconds)
        return [
            Prepared(each, (OutputRecord("notes.tagged", each.key, each.value, ()),), "tagged")
            for each in records
        ]

    async def settle(self, prepared):
        self.settled += [item.record.value for item in prepared]
        return ()


class Suspected:
    """Some offsets are taken alone; ``dead`` ones are not begun at all."""

    def __init__(self, lane_of, offsets, dead=()):
        self.lane_of, self.offsets, self.dead = lane_of, set(offsets), set(dead)
        self.begun, self.ended = [], []
        self.is_quiet = False
        self.announcing = asyncio.Event()
        self.announcing.set()

    def suspected(self, ticket):
        return ticket.offset in self.offsets

    @contextlib.asynccontextmanager
    async def quiet(self):
        self.is_quiet = True
        yield
        self.is_quiet = False

    async def begin(self, ticket):
        assert self.is_quiet
        assert len(self.lane_of()._under_way) == 1, "nothing but this"
        await self.announcing.wait()
        self.begun.append(ticket.offset)
        return Cause(FatalRecordError("no"), "process", 3) if ticket.offset in self.dead else None

    async def end(self):
        assert len(self.lane_of()._under_way) == 1
        self.ended.append(self.begun[-1])


def build(kafka, work=None, batch_size=4, under_way=4, alone=None):
    clock = QuickClock()
    outages = OutageClock(clock)
    ledger = OffsetLedger(outages.monotonic)
    lane = Lane(
        work or Echo(),
        size=LaneSize(batch_size, 0.0, under_way),
        ledger=ledger,
        outputs=Outputs(TopicNames(), 1 << 20, write_back=True),
        dependencies=Dependencies((kafka,), outages, clock),
        gate=Gate(),
        clock=SystemClock(),
        alone=alone,
    )
    return lane, ledger


def record(offset, key=b"k"):
    return InputRecord(Source(SourcePosition("notes.new", 0, offset), 0), key, str(offset).encode())


async def feed(lane, ledger, records):
    for each in records:
        await lane.accept(ledger.track(PARTITION, each.source.position.offset), each)


async def until(holds, seconds=5):
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0)


async def run_for_a_while(lane, ledger, kafka):
    async with lane.running(Delivery(kafka)):
        await feed(lane, ledger, [record(0)])
        await asyncio.sleep(5)


async def test_a_record_is_released_only_when_its_output_is_confirmed():
    kafka = Kafka()
    kafka.hold = []
    lane, ledger = build(kafka)
    async with lane.running(Delivery(kafka)):
        await feed(lane, ledger, [record(0)])
        await until(lambda: kafka.hold)
        for _ in range(20):
            await asyncio.sleep(0)
        assert ledger.committable() == {}
        kafka.hold[0].set_result(None)
        await until(lambda: ledger.committable() == {PARTITION: 1})


async def test_a_suspected_record_is_begun_when_nothing_is_under_way_and_has_no_company():
    kafka, work = Kafka(), Echo(seconds=0.002)
    alone = Suspected(lambda: lane, range(5, 9))
    lane, ledger = build(kafka, work, alone=alone)
    async with lane.running(Delivery(kafka)):
        await feed(lane, ledger, [record(offset) for offset in range(14)])
        await until(lambda: ledger.committable() == {PARTITION: 14})
    assert alone.begun == alone.ended == [5, 6, 7, 8]
    assert all([offset] in work.batches for offset in alone.begun)
    assert max(map(len, work.batches)) > 1
    assert [value for _, _, value in kafka.log] == [str(offset).encode() for offset in range(14)]


async def test_nothing_of_a_suspected_record_begins_or_is_sent_after_its_partition_was_given_up():
    kafka, work = Kafka(), Echo()
    alone = Suspected(lambda: lane, [0, 1])
    alone.announcing.clear()  # the broker takes its time
    lane, ledger = build(kafka, work, alone=alone)
    async with lane.running(Delivery(kafka)):
        await feed(lane, ledger, [record(0), record(1)])
        await until(lambda: lane._under_way)
        lane._gate.shut("rebalancing", "")
        assert not await lane.drain(0.01)
        ledger.revoke()
        alone.announcing.set()
        lane._gate.lift("rebalancing")
        await feed(lane, ledger, [record(2)])
        await until(lambda: ledger.in_flight == 0)
    assert work.batches == [[2]]
    assert [value for _, _, value in kafka.log] == [b"2"]


async def test_a_record_that_was_found_deadly_is_a_dead_letter_without_being_begun():
    kafka, work = Kafka(), Echo()
    lane, ledger = build(kafka, work, alone=Suspected(lambda: lane, range(3), dead=[1]))
    async with lane.running(Delivery(kafka)):
        await feed(lane, ledger, [record(offset) for offset in range(4)])
        await until(lambda: ledger.committable() == {PARTITION: 4})
    assert [topic for topic, _, _ in kafka.log] == [
        *("notes.tagged", "notes.dead", "notes.tagged", "notes.tagged")
    ]
    assert [1] not in work.batches


async def test_a_gate_that_is_shut_holds_the_work():
    kafka = Kafka()
    lane, ledger = build(kafka)
    lane._gate.shut("why", "because")
    async with lane.running(Delivery(kafka)):
        await feed(lane, ledger, [record(0)])
        for _ in range(50):
            await asyncio.sleep(0)
        assert kafka.log == []
        lane._gate.lift("why")
        await until(lambda: ledger.in_flight == 0)


async def test_an_output_that_the_broker_refuses_becomes_a_dead_letter_and_its_neighbours_stay():
    kafka = Kafka()
    kafka.refuses = {("notes.tagged", b"1")}
    lane, ledger = build(kafka)
    async with lane.running(Delivery(kafka)):
        await feed(lane, ledger, [record(offset, str(offset).encode()) for offset in range(3)])
        await until(lambda: ledger.committable() == {PARTITION: 3})
    sent = {(topic, value) for topic, _, value in kafka.log}
    assert sent == {("notes.tagged", b"0"), ("notes.dead", b"1"), ("notes.tagged", b"2")}


async def test_a_dead_letter_that_is_refused_ends_the_worker_with_a_sentence():
    kafka = Kafka()
    kafka.refuses = {("notes.tagged", b"0"), ("notes.dead", b"0")}
    lane, ledger = build(kafka)
    with pytest.raises(SettingsError, match="dead letter does not fit"):
        await run_for_a_while(lane, ledger, kafka)


async def test_drain_finishes_what_is_under_way_and_forgets_what_waits():
    kafka, work = Kafka(), Echo(seconds=0.05)
    lane, ledger = build(kafka, work, batch_size=1, under_way=1)
    async with lane.running(Delivery(kafka)):
        await feed(lane, ledger, [record(0), record(1)])
        await work.begun.wait()
        lane._gate.shut("rebalancing", "")
        assert await lane.drain(5)
        ledger_before = ledger.committable()
        ledger.revoke()
        lane._gate.lift("rebalancing")
        await asyncio.sleep(0.1)
    assert ledger_before == {PARTITION: 1}
    assert [value for _, _, value in kafka.log] == [b"0"]


async def test_drain_cancels_what_takes_too_long_and_the_lane_goes_on():
    kafka, work = Kafka(), Echo(seconds=30)
    lane, ledger = build(kafka, work)
    async with lane.running(Delivery(kafka)):
        await feed(lane, ledger, [record(0)])
        await asyncio.sleep(0.01)
        assert not await lane.drain(0.01)
        ledger.revoke()
        work.seconds = 0
        await feed(lane, ledger, [record(0)])
        await until(lambda: ledger.committable() == {PARTITION: 1})


async def test_an_error_of_the_work_ends_the_block():
    class Broken(Echo):
        async def settle(self, prepared):
            raise RuntimeError("a bug")

    kafka = Kafka()
    lane, ledger = build(kafka, Broken())
    with pytest.raises(RuntimeError, match="a bug"):
        await run_for_a_while(lane, ledger, kafka)


async def test_after_an_outage_is_over_every_record_is_sent_once_again():
    kafka = Kafka()
    lane, ledger = build(kafka, batch_size=2)

    async def carry(offsets):
        await feed(lane, ledger, [record(offset) for offset in offsets])
        await until(lambda: ledger.in_flight == 0)

    async with lane.running(Delivery(kafka)):
        kafka.failing = 1.0
        await feed(lane, ledger, [record(offset) for offset in range(6)])
        await until(lambda: lane._last is not None and lane._last.prepared)
        kafka.failing = 0.0
        await until(lambda: ledger.in_flight == 0)
        for start in (6, 8, 10):
            await carry(range(start, start + 2))
    sent = [int(value) for _, _, value in kafka.log]
    assert set(sent) == set(range(12))
    assert sorted(each for each in sent if each >= 6) == list(range(6, 12))


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 6), st.floats(0, 0.4), st.integers(0, 2**16))
def test_whatever_sends_fail_the_last_record_of_a_key_stands_last(count, batch_size, failing, seed):
    async def run():
        chance = random.Random(seed)
        kafka = Kafka(chance, failing)
        lane, ledger = build(kafka, batch_size=batch_size)
        records = [record(offset, bytes([chance.randrange(4)])) for offset in range(count)]
        async with lane.running(Delivery(kafka)):
            with contextlib.suppress(TimeoutError):
                await feed(lane, ledger, records)
                await until(lambda: ledger.in_flight == 0, 20)
        assert ledger.committable() == {PARTITION: count}
        assert {value for _, _, value in kafka.log} == {each.value for each in records}
        last_sent = {key: value for _, key, value in kafka.log}
        assert last_sent == {each.key: each.value for each in records}

    asyncio.run(run())
