"""The way of every command that publishes a file: check all of it, send all of it, say so."""

import asyncio
import time
from collections.abc import Callable, Iterable

import typer

from streamproc.cli.progress import loading_progress
from streamproc.cli.record_file import RecordFile
from streamproc.cli.running import run
from streamproc.config import Settings
from streamproc.events.record import OutputRecord

__all__ = ["publish_file", "publish_records"]


def publish_file(settings: Settings, topic: str, file: RecordFile) -> None:
    """Publish a file as fast as Kafka takes it.

    Raises:
        InputFileError: a line cannot be used; nothing was sent.
        SettingsError: Kafka does not answer to these settings, or the topic does not exist or refuses a record.
        DependencyDownError: Kafka cannot be reached, or did not confirm a record.
    """
    publish_records(settings, topic, file.records(), file.check())


def publish_records(
    settings: Settings,
    topic: str,
    records: Iterable[OutputRecord],
    total: int,
    due_seconds: Callable[[int], float] | None = None,
) -> None:
    """Publish records to a topic and tell how many.

    Args:
        settings: how to connect.
        topic: full name.
        records: what to send.
        total: how many these are.
        due_seconds: gives the time after the start at which the record of an index is due; None: at once.
    """
    confirmed = run(_publish(settings, topic, records, total, due_seconds))
    typer.echo(f"published {confirmed:,} records to {topic}", err=True)


async def _publish(
    settings: Settings,
    topic: str,
    records: Iterable[OutputRecord],
    total: int,
    due_seconds: Callable[[int], float] | None,
) -> int:
    from streamproc.streams.publisher import Publisher  # noqa: PLC0415 - a quick --help

    with loading_progress() as progress:
        async with Publisher(settings, [topic]) as publisher:
            start = time.monotonic()
            for index, record in enumerate(records):
                if due_seconds is not None:
                    wait = start + due_seconds(index) - time.monotonic()
                    if wait > 0:
                        await asyncio.sleep(wait)
                await publisher.send(record)
                progress(f"publishing to {topic}", index + 1, total)
        return publisher.confirmed
