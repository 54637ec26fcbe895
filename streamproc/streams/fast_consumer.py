"""Faust's intake, a batch at a time.

Faust hands over one record at a time: an async generator, three futures and their cancellation in ``wait_first``, two
locks, a decoder and a turn of the event loop for each. That is more than the work this package does for a note outside
the models. Here the same parts (the consumer and its thread, the conductor, the queue between them and the agent, the
stream) pass on what one fetch brought in one step. Acks, offsets, commits, flow control and rebalancing stay Faust's;
:class:`FastApp` is the only name that the rest needs.

Written against faust-streaming 0.15.3. Each override says what it replaces; a test holds the hashes of the replaced
methods, so that another Faust cannot slip under them.

What also changes, because at-least-once needs it:

- Records fetched for a partition that is paused meanwhile are delivered. Faust drops them; the next fetch then looks
  like a gap in the log, which counts as acknowledged: they would be lost.
- The loop that fetches seeks to the group's commits itself, until it succeeds, and hands nothing over before, nor what
  was fetched across a seek. Faust seeks in its recovery of tables, which ends for ever when a seek takes too long (a
  machine that was suspended) and resumes the flow for assignments that others have overtaken.
- A partition without a commit is sought to its begin. aiokafka leaves it behind what was fetched and then dropped in
  a rebalance: the group would begin there, and lose what came before.
- An acknowledgement from before a rebalance is ignored. Faust counts it, although the partition was rewound to its
  commit, and could commit past records that are yet to be read again.
- On a revoke, what is acknowledged is committed before it is forgotten: after the signal ``on_partitions_revoked``, in
  which an app finishes its work. Faust forgets first, and so repeats up to a commit interval at every rebalance.
- A commit never passes a record that is not acknowledged, whatever the order of acknowledgements. Faust's does when
  only the one record at the commit is missing (its issue 606). A gap of several offsets right behind offset 0 is
  a gap, as compaction leaves them; Faust overlooks it and commits nothing more.
- A queue that is full no longer stops the fetches of other agents: its partitions are left out until it drains, and
  what was fetched is queued beyond the limit, by at most one fetch a partition.
- An intake that stopped because all its queues were full goes on when the first has drained. Faust looks once a second.
- A busy partition does not wait for idle ones; see :data:`FETCH_WAIT_MS` and :data:`LEFT_OUT_SECONDS`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, cast
from weakref import ref

import faust
from aiokafka.structs import ConsumerRecord
from faust.streams import _current_event
from faust.transport.conductor import Conductor
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP
from mode import Service

__all__ = ["FastApp", "FastConsumer", "FastStream", "FastTransport"]

EVENTS_A_TURN = 64
"""Events given to an agent before other tasks get a turn: a millisecond or two of work."""
POLL_SECONDS = 1.0
"""How long one fetch waits for records; Faust's own."""

FETCH_WAIT_MS = 25
"""How long a broker may hold a fetch that finds nothing.

aiokafka has one fetch under way per broker and leaves out of it the partitions whose last records are not taken yet.
Whatever arrives there waits until that fetch returns: with Faust's 1,500 ms a note in an almost idle topic waited up to
that long, and a busy topic beside idle ones stood still again and again. An idle worker now asks forty times a second.
"""
LEFT_OUT_SECONDS = 0.02
"""How long one fetch waits while partitions are left out of it (paused, or with a full queue).

A fetch covers the partitions that were active when it began; one that becomes active meanwhile is not heard.
"""

ASSIGNING_SECONDS = 0.02
"""How long to wait for the app to take in its assignment; it takes some turns of the event loop."""

SEEK_AGAIN_SECONDS = 0.5
"""How long to wait after a seek that failed: a rebalance is under way, or the broker is down."""

STOP_SECONDS = 5.0
"""How long a consumer may take to leave its group; a broker that is away never answers."""

Deliver = Callable[[Sequence[Any]], None]


def _is_raw(channel: Any) -> bool:
    # Bytes need no decoder, and so nothing that could wait or fail between the fetch and the queue.
    schema, conf = channel.schema, channel.app.conf
    return all(
        (serializer or default) == "raw" and wanted in (None, bytes)
        for serializer, default, wanted in (
            (schema.key_serializer, conf.key_serializer, schema.key_type),
            (schema.value_serializer, conf.value_serializer, schema.value_type),
        )
    )


def _delivery(app: Any, tp: TP, channels: set[Any]) -> Deliver:
    # app.create_event looks the class up in the settings for each event, which costs more than the event.
    consumer, create_event = app.consumer, app.conf.Event

    def on_pressure_drop() -> None:
        consumer.on_buffer_drop(tp)

    def deliver(messages: Sequence[Any]) -> None:
        (channel,) = channels
        events = []
        for message in messages:
            message.refcount = 1  # incref(), of a message that nobody else has seen yet
            events.append(create_event(app, message.key, message.value, message.headers, message))
        queue = channel.queue
        # What ThrowableQueue.force_put_nowait does, once for all.
        queue._queue.extend(events)  # noqa: SLF001
        queue._unfinished_tasks += len(events)  # noqa: SLF001
        queue._finished.clear()  # noqa: SLF001
        queue._wakeup_next(queue._getters)  # noqa: SLF001
        if queue.in_pressure_high_state(on_pressure_drop):
            app.sensors.on_topic_buffer_full(tp)
            consumer.on_buffer_full(tp)

    return deliver


class FastConductor(Conductor):  # type: ignore[misc]
    """Faust's conductor with a handler of many messages for every partition it can be compiled for."""

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self._delivers: dict[TP, Deliver] = {}

    def _build_handler(self, tp: TP, channels: set[Any]) -> Any:
        """Extend ``Conductor._build_handler``: beside the handler of one message, one of many where possible."""
        self._delivers.pop(tp, None)
        if len(channels) == 1 and all(_is_raw(channel) for channel in channels):
            self._delivers[tp] = _delivery(self.app, tp, channels)
        return super()._build_handler(tp, channels)

    def deliver_now(self, tp: TP) -> Deliver | None:
        """Give the handler of many messages, or None when messages of this partition have to wait or be decoded."""
        # The lock guards a time in which the callbacks are incomplete; see Conductor._update_indices.
        if self._tp_to_callback_lock.locked() or tp not in self._tp_to_callback:
            return None
        return self._delivers.get(tp)


class FetchThread(AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread in which aiokafka's consumer lives: the group's heartbeats go on while the app's loop is busy."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Extend ``AIOKafkaConsumerThread._create_worker_consumer``: Faust has no setting for this."""
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001 - read when the consumer starts
        return consumer

    async def on_thread_stop(self) -> None:
        """Extend ``AIOKafkaConsumerThread.on_thread_stop``: let nothing escape, and end in time.

        While the broker is away aiokafka's fetcher passes on the cancellation of its own task; mode takes it for the
        thread's, never tells of its end, and waits for that for a minute.
        """
        with contextlib.suppress(asyncio.CancelledError, TimeoutError):
            await asyncio.wait_for(super().on_thread_stop(), STOP_SECONDS)

    async def seek_to_committed(self) -> Mapping[TP, int | None]:
        """Extend ``AIOKafkaConsumerThread.seek_to_committed``: without a commit, to the begin of the log.

        aiokafka leaves such a partition where it is. The begin is where a group starts by ``earliest``, which
        at-least-once needs.
        """
        return cast(Mapping[TP, int | None], await self.call_thread(self._seek_to_committed))

    async def _seek_to_committed(self) -> Mapping[Any, int | None]:
        consumer = self._ensure_consumer()
        committed: Mapping[Any, int | None] = await consumer.seek_to_committed()
        fresh = [partition for partition, offset in committed.items() if not offset]
        if fresh and not await consumer.seek_to_beginning(*fresh):
            raise TimeoutError(f"no answer with the begin of {fresh}")
        return committed


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


class FastTransport(Transport):  # type: ignore[misc]
    """Faust's aiokafka transport with the parts above."""

    Consumer = FastConsumer
    Conductor = FastConductor


class FastStream(faust.Stream):  # type: ignore[misc]
    """A stream whose ``noack().events()`` takes events straight from the queue."""

    async def events(self) -> AsyncIterator[Any]:
        """Replace ``Stream.events`` (and ``__aiter__`` under it) for a stream without acks, processors and joins."""
        if (
            self.enable_acks
            or self._processors
            or self.join_strategy
            or not isinstance(self.channel, faust.Topic)
        ):
            async for event in super().events():
                yield event
            return
        self._finalized = True
        started_here = await self.maybe_start()
        app, queue = self.app, self.channel.queue
        consumer, flow_control = app.consumer, app.flow_control
        inbound_time = app.monitor.stream_inbound_time
        # Only Consumer.wait_empty, which this setting switches on, looks at unacked messages.
        tracks_messages = app.conf.stream_wait_empty
        left, now = EVENTS_A_TURN, monotonic()
        try:
            while not self.should_stop:
                if left == 0 or queue.empty():
                    # The agent may await nothing that suspends: other tasks get their turn here.
                    await asyncio.sleep(0)
                    left, now = EVENTS_A_TURN, monotonic()
                    event = await queue.get()
                else:
                    left -= 1
                    event = queue.get_nowait()
                message = event.message
                # From before a rebalance: it is read again. Not acked, unlike in Stream._py_aiter.
                if not flow_control.is_active() or message.generation_id != app.consumer_generation_id:
                    continue
                if tracks_messages:
                    consumer.track_message(message)
                inbound_time[message.tp] = now
                _current_event.set(ref(event))
                self.current_event = event
                self.events_total += 1
                yield event
                self.current_event = None
        except StopAsyncIteration:
            # A channel that is closed says so in this way; out of a generator it would be a RuntimeError.
            return
        finally:
            self._channel_stop_iteration(self.channel)
            if started_here:
                await self.stop()
                self.service_reset()


class FastApp(faust.App):  # type: ignore[misc]
    """``faust.App`` with the intake above; topics must be ``raw`` for it to take effect."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, Stream=FastStream, **kwargs)

    def _new_transport(self) -> FastTransport:
        return FastTransport(self.conf.broker_consumer, self)
