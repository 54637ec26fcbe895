"""Delivery: records to Kafka, in order, each confirmed by the broker.

Sends go straight to the aiokafka producer under Faust: ``topic.send`` costs several times the send itself, and its
sinks await nothing.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    ProducerClosed,
    RecordListTooLargeError,
)

from streamproc.errors import DependencyDownError, OutputTooLargeError
from streamproc.events.record import OutputRecord

__all__ = ["Confirmation", "Delivery", "Producer"]

Confirmation = asyncio.Future[Any]


class Producer(Protocol):
    """What is needed of ``aiokafka.AIOKafkaProducer``."""

    async def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        *,
        headers: list[tuple[str, bytes]],
    ) -> Confirmation:
        """Put a record into the producer's buffer; the future is done when the broker has it."""
        ...


class Delivery:
    """Sends records and waits for their confirmations."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    async def send(self, records: Sequence[OutputRecord]) -> list[Confirmation | Exception]:
        """Put records into the producer's buffer in order; give what stands for each one's confirmation."""
        send = self._producer.send
        sent: list[Confirmation | Exception] = []
        for record in records:
            try:
                sent.append(await send(record.topic, record.value, record.key, headers=list(record.headers)))
            except KafkaError as error:
                sent.append(_explained(record, error))
                if isinstance(sent[-1], DependencyDownError):
                    # Everything after it would wait for the same time-out, and must not overtake it.
                    sent += [sent[-1]] * (len(records) - len(sent))
                    break
        return sent

    async def confirm(
        self, records: Sequence[OutputRecord], sent: Sequence[Confirmation | Exception]
    ) -> list[OutputTooLargeError | None]:
        """Wait for every confirmation; say which records the broker refused for their size.

        Raises:
            DependencyDownError: some are not confirmed because Kafka did not answer.
        """
        refused: list[OutputTooLargeError | None] = []
        down: DependencyDownError | None = None
        for record, confirmation in zip(records, sent, strict=True):
            error: Exception | None = None
            if isinstance(confirmation, Exception):
                error = confirmation
            else:
                try:
                    await confirmation
                except KafkaError as raised:
                    error = _explained(record, raised)
            if isinstance(error, DependencyDownError):
                down = down or error
            elif error is not None and not isinstance(error, OutputTooLargeError):
                raise error
            refused.append(error if isinstance(error, OutputTooLargeError) else None)
        if down is not None:
            raise down
        return refused


def _explained(record: OutputRecord, error: Exception) -> Exception:
    match error:
        case MessageSizeTooLargeError() | RecordListTooLargeError():
            return OutputTooLargeError(
                f"Kafka refuses the output for {record.topic} of {record.size} bytes: {error}. "
                "Let the topic's max.message.bytes be STREAMPROC_MAX_NOTE_BYTES and 64 KiB"
            )
        case KafkaError() if not isinstance(error, ProducerClosed):
            return DependencyDownError("Kafka", f"no confirmation from {record.topic}: {error!r}")
    return error
