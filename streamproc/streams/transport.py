"""The transport under the app: Faust's fast intake, with fetches that do not hold one another up."""

from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from streamproc.streams.fast_consumer import FastConsumer, FastTransport

__all__ = ["FETCH_WAIT_MS", "StreamTransport"]

FETCH_WAIT_MS = 25
"""How long a broker may hold a fetch that finds nothing.

aiokafka has one fetch under way per broker and leaves out of it the partitions whose last records are not taken yet.
Whatever arrives there waits until that fetch returns: with Faust's 1,500 ms a note in an almost idle topic waited up to
that long, and a busy topic beside idle ones stood still again and again. An idle worker now asks forty times a second.
"""


LEFT_OUT_SECONDS = 0.02
"""A wait covers the partitions that were active when it began; one that becomes active meanwhile is not heard."""


class _Thread(AIOKafkaConsumerThread):  # type: ignore[misc]
    """The consumer's thread."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Extend Faust's: it offers no setting for this."""
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001 - read when the consumer starts
        return consumer


class _Consumer(FastConsumer):
    """The consumer with that thread."""

    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:  # noqa: ASYNC109 - Faust's signature
        """Extend: while some partitions are left out, do not wait long on the others alone."""
        if self._buffered_partitions or self._paused_partitions:
            timeout = min(timeout, LEFT_OUT_SECONDS)
        return await super()._wait_next_records(timeout)


class StreamTransport(FastTransport):
    """Faust's aiokafka transport with the parts above."""

    Consumer = _Consumer
