"""What may be committed, for any gaps in the log and any order of acknowledgements."""

import asyncio
from typing import Any

from aiokafka.structs import ConsumerRecord
from faust.types import TP
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.streams.fast_intake.app import FastApp
from streamproc.streams.fast_intake.consumer import FastConsumer

PARTITION = TP("notes", 0)


def record(offset: int) -> Any:
    return ConsumerRecord(PARTITION.topic, PARTITION.partition, offset, 0, 0, b"k", b"v", None, 1, 1, ())


class Books:
    """A consumer's bookkeeping for one partition, without a broker."""

    def __init__(self, committed: int | None) -> None:
        app = FastApp("books", broker="kafka://127.0.0.1:9")
        app.topics._acking_topics.add(PARTITION.topic)
        app.consumer_generation_id = 1
        self.consumer: FastConsumer = app.consumer
        self.consumer._committed_offset[PARTITION] = committed
        self.consumer._read_offset[PARTITION] = None if committed is None else committed - 1
        self.messages: dict[int, Any] = {}

    def deliver(self, offsets: list[int]) -> None:
        for each in self.consumer._unread(PARTITION, [record(offset) for offset in offsets]):
            message = self.consumer._to_message(PARTITION, each)
            message.refcount = 1
            self.messages[each.offset] = message
        self.consumer._read_offset[PARTITION] = offsets[-1]

    def ack(self, offset: int) -> None:
        self.messages[offset].ack(self.consumer)

    def commit(self) -> int | None:
        offset = self.consumer._new_offset(PARTITION)
        if offset is not None:
            assert self.consumer._should_commit(PARTITION, offset)
            self.consumer._committed_offset[PARTITION] = offset
        return self.consumer._committed_offset[PARTITION]


async def in_loop(committed: int | None) -> Books:
    return Books(committed)


def books(committed: int | None = None) -> Books:
    # Faust's services look for the loop they are made in; nothing runs in it.
    return asyncio.run(in_loop(committed))


@settings(max_examples=60, deadline=None)
@given(
    first=st.integers(0, 3),
    steps=st.lists(st.integers(1, 4), max_size=30),
    begin=st.none() | st.integers(0, 3),
    chunk=st.integers(1, 7),
    order=st.randoms(use_true_random=False),
)
def test_a_commit_never_passes_an_unacked_record_and_reaches_the_end(
    first: int, steps: list[int], begin: int | None, chunk: int, order: Any
) -> None:
    log = [first if begin is None else begin + first]
    for step in steps:
        log.append(log[-1] + step)
    ours = books(begin)
    unacked: set[int] = set()
    waiting = [log[at : at + chunk] for at in range(0, len(log), chunk)]
    while waiting or unacked:
        if waiting and (not unacked or order.random() < 0.3):
            ours.deliver(waiting[0])
            unacked.update(waiting.pop(0))
        else:
            offset = order.choice(sorted(unacked))
            ours.ack(offset)
            unacked.remove(offset)
        committed = ours.commit()
        if committed is not None:
            assert all(offset >= committed for offset in unacked)
            assert committed <= ours.consumer._read_offset[PARTITION] + 1
    assert ours.commit() == log[-1] + 1


def test_a_long_gap_after_offset_zero_is_passed() -> None:
    ours = books()
    ours.deliver([0])
    ours.ack(0)
    assert ours.commit() == 1
    ours.deliver([5_000_000])
    ours.ack(5_000_000)
    assert ours.commit() == 5_000_001


def test_what_was_read_already_is_left_out() -> None:
    ours = books(10)
    ours.deliver([10, 11, 12])
    assert [each.offset for each in ours.consumer._unread(PARTITION, [record(12), record(13)])] == [13]


def test_an_ack_twice_counts_once() -> None:
    ours = books()
    ours.deliver([0, 1])
    ours.ack(0)
    ours.ack(0)
    assert ours.commit() == 1
