import asyncio
import contextlib
import time

import msgspec

from streamproc.events.codec import decode_tagged
from streamproc.streams.embedded import EmbeddedBroker
from streamproc.streams.worker import EmbeddedWorker
from tests.streams.fixed import Client, fixed_parts, header, settings_for, source_of, topic_counts


def note(note_id, text="a text", **more):
    return msgspec.json.encode({"note_id": note_id, "title": "Title", "text": text, **more})


async def eventually(ask, holds, seconds=10):
    deadline = time.monotonic() + seconds
    while not holds(found := await ask()):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)
    return found


@contextlib.asynccontextmanager
async def running(tmp_path, **more):
    with EmbeddedBroker() as broker:
        settings = settings_for(broker.bootstrap, tmp_path, **more)
        for name, partitions in topic_counts(settings).items():
            broker.create_topic(name, partitions)
        parts = await fixed_parts(tmp_path)
        worker = EmbeddedWorker(settings, parts)
        await worker.start()
        try:
            await worker.wait_ready()
            async with Client(settings) as client:
                yield worker, client, parts
        finally:
            await worker.stop()


async def test_a_note_comes_out_tagged_and_enters_the_graph(tmp_path):
    async with running(tmp_path) as (worker, client, parts):
        position = await client.publish("notes.new", note("n1"), "n1")
        (tagged,) = await client.wait_for(len, "notes.tagged")
        assert decode_tagged(tagged.value).tags[0].tag_id == "Title"
        assert tagged.key == b"n1"
        assert source_of(tagged) == position
        assert header(tagged, "ce_type") == "streamproc.notes.tagged.v1"
        (edge,) = await client.wait_for(len, "graph.edges")
        assert edge.key == b'["n1","tagged","Title","model"]'
        await eventually(lambda: parts.graph.graph.counts(), lambda counts: counts.notes == 1)
        assert worker.crash is None
