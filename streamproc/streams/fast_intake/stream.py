"""From an agent's queue to its body: events without the machinery that this package has no use for."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any
from weakref import ref

import faust
from faust.streams import _current_event

__all__ = ["FastStream"]

EVENTS_A_TURN = 64
"""Events given to an agent before other tasks get a turn: a millisecond or two of work."""


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
