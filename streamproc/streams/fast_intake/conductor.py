"""From a fetch to an agent's queue: all messages of a partition in one step."""

from collections.abc import Callable, Sequence
from typing import Any

from faust.transport.conductor import Conductor
from faust.types import TP

__all__ = ["Deliver", "FastConductor"]

Deliver = Callable[[Sequence[Any]], None]
"""Puts messages of one partition into the queue of the only agent that reads it."""


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
