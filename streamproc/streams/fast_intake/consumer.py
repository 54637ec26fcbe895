"""Faust's aiokafka consumer, draining whole fetches, and its books: what was read, acknowledged, committed."""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any, cast

from aiokafka.structs import ConsumerRecord
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP
from mode import Service

from streamproc.streams.fast_intake.fetch_thread import FetchThread

__all__ = ["FastConsumer"]

POLL_SECONDS = 1.0
"""How long one fetch waits for records; Faust's own."""

LEFT_OUT_SECONDS = 0.02
"""How long one fetch waits while partitions are left out of it (paused, or with a full queue).

A fetch covers the partitions that were active when it began; one that becomes active meanwhile is not heard.
"""

ASSIGNING_SECONDS = 0.02
"""How long to wait for the app to take in its assignment; it takes some turns of the event loop."""

SEEK_AGAIN_SECONDS = 0.5
"""How long to wait after a seek that failed: a rebalance is under way, or the broker is down."""


class FastConsumer(Consumer):  # type: ignore[misc]
    """Faust's aiokafka consumer, draining whole fetches."""

    _n_acked: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._partition_became_active = asyncio.Event()
        self._assigned_generation: int | None = None
        """The generation whose assignment the app has taken in."""
        self._sought_generation: int | None = None
        """The generation whose partitions stand behind what was handed over; None: they must be sought."""

    def _new_consumer_thread(self) -> FetchThread:
        """Replace ``Consumer._new_consumer_thread``."""
        return FetchThread(self, loop=self.loop, beacon=self.beacon)

    def on_buffer_drop(self, tp: TP) -> None:
        """Extend ``Consumer.on_buffer_drop``: a partition that is also paused stays so, and the intake wakes."""
        if tp in self._paused_partitions:
            self._buffered_partitions.discard(tp)
            return
        super().on_buffer_drop(tp)
        self._partition_became_active.set()

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Extend ``Consumer.resume_partitions``: a partition whose queue is full waits on, and the intake wakes."""
        wanted = set(tps)
        super().resume_partitions(wanted)
        self._active_partitions.difference_update(self._buffered_partitions)
        self._partition_became_active.set()

    def ack(self, message: Any) -> bool:
        """Extend ``Consumer.ack``: a message from before the last rebalance no longer counts."""
        if message.generation_id != self.app.consumer_generation_id:
            message.acked = True
            self._unacked_messages.discard(message)
            return False
        return cast(bool, super().ack(message))

    def _new_offset(self, tp: TP) -> int | None:
        """Replace ``Consumer._new_offset``: the end of what is acked or a gap, counted from the commit, if it moved."""
        acked, gaps = self._acked_index[tp], self._gap[tp]
        begin: int | None = self._committed_offset[tp]
        if not acked or begin is None:
            return None
        offset = begin
        while True:
            if offset in acked:
                offset += 1
            elif around := gaps[offset]:
                offset = max(gap.end for gap in around)
            else:
                break
        if offset == begin:
            return None
        gaps.chop(0, offset)
        self._acked[tp] = [one for one in self._acked[tp] if one >= offset]
        acked.intersection_update(self._acked[tp])
        return offset

    async def perform_seek(self) -> None:
        """Replace ``Consumer.perform_seek``: the loop that fetches will seek before it goes on."""
        self._sought_generation = None

    async def _seek_to_commits(self) -> None:
        generation = self.app.consumer_generation_id
        if self._assigned_generation != generation:
            # What the app does with its assignment would undo what is read before.
            await self.sleep(ASSIGNING_SECONDS)
            return
        try:
            async with asyncio.timeout(self.app.conf.broker_request_timeout):
                committed = await self.seek_to_committed()
        except Exception as error:  # noqa: BLE001 - a rebalance, a broker that is down: then again
            self.log.warning("seeking to the commits: %r", error)
            await self.sleep(SEEK_AGAIN_SECONDS)
            return
        for partition, offset in committed.items():
            tp = TP(*partition)
            self._committed_offset[tp] = offset
            # The offset before the commit is the last one read; Faust notes the commit.
            self._read_offset[tp] = None if offset is None else offset - 1
        self._sought_generation = generation

    async def seek(self, partition: TP, offset: int) -> None:
        """Extend ``Consumer.seek``, with the same meaning of what was read last."""
        await super().seek(partition, offset)
        self._read_offset[TP(*partition)] = offset - 1

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Replace ``Consumer.verify_event_path``: it ends the app when a partition is being sought.

        Nor would it notice anything, for it compares the time of day with the time since the start.
        """

    @Service.transitions_to("PARTITIONS_REVOKED")  # type: ignore[untyped-decorator]
    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Replace ``Consumer.on_partitions_revoked``: finish, commit, then forget; Faust forgets first."""
        # Stops the flow, empties the queues, sends the signal in which the app finishes its work.
        await self._on_partitions_revoked(revoked)
        if not self.app.should_stop:
            # aiokafka repeats a commit until a coordinator takes it; the group does not wait that long.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.commit(), self.app.conf.broker_session_timeout / 2)
        self._active_partitions.difference_update(revoked)
        self._paused_partitions.difference_update(revoked)
        for tp in revoked:
            for book in (
                self._gap,
                self._acked,
                self._acked_index,
                self._read_offset,
                self._committed_offset,
            ):
                book.pop(tp, None)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Extend ``Consumer.on_partitions_assigned``: queues are empty now, so no partition waits for one."""
        self._buffered_partitions.clear()
        await super().on_partitions_assigned(assigned, generation_id)
        self._assigned_generation = generation_id

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:  # noqa: ASYNC109 - Faust's signature
        """Replace ``Consumer._wait_next_records``: without a partition to fetch, wait for one, not for a second."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        active = self._get_active_partitions()
        if active:
            if self._sought_generation != self.app.consumer_generation_id:
                await self._seek_to_commits()
                return {}, active
            if self._buffered_partitions or self._paused_partitions:
                timeout = min(timeout, LEFT_OUT_SECONDS)
            return await self._getmany(active_partitions=active, timeout=timeout), active
        self._partition_became_active.clear()
        await self.wait_first(self._partition_became_active.wait(), self.suspend_flow.wait(), timeout=timeout)
        return {}, active

    async def _drain_messages(self, fetcher: Any) -> None:
        """Replace ``Consumer._drain_messages``: fetch and hand over until told to stop."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                # A fetch that finds records at once does not suspend: others get their turn here.
                await asyncio.sleep(0)
                self.diag.set_flag("FETCHING")
                records, _ = await self._wait_next_records(POLL_SECONDS)
                if records and not self.should_stop:
                    await self._hand_over(records)
                self.diag.unset_flag("FETCHING")
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise
            self.log.info("Broker stopped consumer, shutting down...")
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise
            self.log.info("Consumer shutting down for user cancel.")
        finally:
            self.diag.unset_flag("FETCHING")

    async def _hand_over(self, records: dict[TP, list[ConsumerRecord]]) -> None:
        if not (self.flow_active and self._sought_generation == self.app.consumer_generation_id):
            # Fetched for an assignment that is over, or begun before the seek; aiokafka has moved past them.
            self._sought_generation = None
            return
        generation = self.app.consumer_generation_id
        for tp, of_partition in records.items():
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            await self._hand_over_partition(TP(*tp), of_partition)
            # Only an await that lasted can have let a rebalance in; what is left here is sought again.
            if not self.flow_active or generation != self.app.consumer_generation_id:
                self._sought_generation = None
                return
        if self._commit_every is not None and self._n_acked >= self._commit_every:
            self._n_acked = 0
            await self.commit()

    async def _hand_over_partition(self, tp: TP, records: list[ConsumerRecord]) -> None:
        records = self._unread(tp, records)
        if not records:
            return
        messages = [self._to_message(tp, record) for record in records]
        deliver = self.app.topics.deliver_now(tp)
        buffer = self.app.producer.buffer
        if deliver is not None and self.app.flow_control.is_active() and buffer.size <= buffer.max_messages:
            deliver(messages)
            self._read_offset[tp] = records[-1].offset
            return
        generation = self.app.consumer_generation_id
        for message in messages:
            await self.wait_first(self.callback(message), self.suspend_flow.wait())
            if not self.flow_active or generation != self.app.consumer_generation_id:
                return
            self._read_offset[tp] = message.offset

    def _unread(self, tp: TP, records: list[ConsumerRecord]) -> list[ConsumerRecord]:
        """Leave out what was read before (a seek can bring it again) and note the gaps in the log."""
        first, last = records[0].offset, records[-1].offset
        if self._committed_offset[tp] is None:
            # The group begins here: nothing before it is waited for.
            self._committed_offset[tp] = first
        read = self._read_offset[tp]
        if read is None:
            read = first - 1
        if first == read + 1 and last - first == len(records) - 1:
            return records
        unread = [record for record in records if record.offset > read]
        if self.app.topics.acks_enabled_for(tp.topic):
            for record in unread:
                if record.offset > read + 1:
                    self._gap[tp].addi(read + 1, record.offset)
                read = record.offset
        return unread
