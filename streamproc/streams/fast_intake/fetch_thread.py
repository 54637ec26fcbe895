"""The thread in which aiokafka's consumer lives."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, cast

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

__all__ = ["FETCH_WAIT_MS", "FetchThread"]

FETCH_WAIT_MS = 25
"""How long a broker may hold a fetch that finds nothing.

aiokafka has one fetch under way per broker and leaves out of it the partitions whose last records are not taken yet.
Whatever arrives there waits until that fetch returns: with Faust's 1,500 ms a note in an almost idle topic waited up to
that long, and a busy topic beside idle ones stood still again and again. An idle worker now asks forty times a second.
"""

STOP_SECONDS = 5.0
"""How long a consumer may take to leave its group; a broker that is away never answers."""


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
