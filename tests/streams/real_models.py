"""A worker with the real models on the embedded broker: the sample tags published, sample notes to be tagged."""

import asyncio
import contextlib
import time

from streamproc.events.codec import decode_tagged, encode
from streamproc.events.files import note_from_row, read_events, tag_from_row
from streamproc.pipeline.local import sample_file
from streamproc.streams.embedded import EmbeddedBroker
from streamproc.streams.opening import open_parts
from streamproc.streams.worker import EmbeddedWorker
from tests.streams.fixed import Client, settings_for, topic_counts

PATIENCE_SECONDS = 120


@contextlib.contextmanager
def broker_for(tmp_path, prefix="", **more):
    """The settings of a worker on a broker of its own."""
    with EmbeddedBroker() as broker:
        settings = settings_for(broker.bootstrap, tmp_path, prefix, **more)
        for name, partitions in topic_counts(settings).items():
            broker.create_topic(name, partitions)
        yield settings


@contextlib.asynccontextmanager
async def running(settings, *, ready=True):
    """The worker, with the sample tags in its graph, and a client of its topics."""
    parts = await open_parts(settings)
    worker = EmbeddedWorker(settings, parts)
    await worker.start()
    try:
        async with Client(settings) as client:
            tags = list(read_events(sample_file("tags.jsonl"), tag_from_row))
            await client.publish_many(
                client.names.tags_changes, [(encode(tag), tag.tag_id.encode()) for tag in tags]
            )
            if ready:
                await worker.wait_ready(PATIENCE_SECONDS)
                await eventually(lambda: counted(parts, len(tags)))
            yield worker, client
    finally:
        await worker.stop()


async def counted(parts, tags):
    """Whether so many tags can be recalled, and the worker knows them by name."""
    return (
        await parts.graph.graph.counts()
    ).tags == tags and parts.knowledge.snapshot().applied.tags >= tags - 1


async def eventually(holds, seconds=PATIENCE_SECONDS):
    """Wait until ``await holds()``."""
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.1)


def notes(count):
    """So many notes with ids of their own and sample texts, as records."""
    samples = [
        note for note in read_events(sample_file("notes.jsonl"), note_from_row) if note.language in {"", "en"}
    ]
    return [
        (encode(_named(samples[number % len(samples)], f"n{number}")), f"n{number}".encode())
        for number in range(count)
    ]


def _named(note, note_id):
    return type(note)(
        **{**{name: getattr(note, name) for name in note.__struct_fields__}, "note_id": note_id}
    )


async def outcomes(client, count, seconds=PATIENCE_SECONDS):
    """Wait for the outcomes of so many notes; none may be dead. Gives the last of each, by note."""
    records = await client.wait_for(
        lambda found: len({each.key for each in found}) >= count, client.names.notes_tagged, seconds=seconds
    )
    assert await client.read_all(client.names.notes_dead) == []
    return {each.key.decode(): decode_tagged(each.value) for each in records}
