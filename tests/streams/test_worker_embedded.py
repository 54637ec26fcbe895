"""The worker inside an event loop, on the embedded broker, with fixed models and a real graph."""

import asyncio
import contextlib
import json
import socket
import time
import urllib.error
import urllib.request

import msgspec

from streamproc.errors import BundleError
from streamproc.events.codec import decode_tagged
from streamproc.streams.dead_letter import read_dead_letter
from streamproc.streams.embedded import EmbeddedBroker
from streamproc.streams.worker import EmbeddedWorker
from tests.streams.faulty import BAD_NOTE, MilvusOutage, PickyPipeline, parts_of_outage
from tests.streams.fixed import (
    Client,
    FixedPipeline,
    fixed_parts,
    header,
    settings_for,
    source_of,
    topic_counts,
)


def note(note_id, text="a text", **more):
    return msgspec.json.encode({"note_id": note_id, "title": "Title", "text": text, **more})


def tag(tag_id, **more):
    return msgspec.json.encode(
        {"tag_id": tag_id, "name": tag_id, "changed_at": "2026-01-01T00:00:00Z", **more}
    )


async def eventually(ask, holds, seconds=10):
    deadline = time.monotonic() + seconds
    while not holds(found := await ask()):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)
    return found


@contextlib.contextmanager
def broker_for(tmp_path, **more):
    with EmbeddedBroker() as broker:
        settings = settings_for(broker.bootstrap, tmp_path, **more)
        for name, partitions in topic_counts(settings).items():
            broker.create_topic(name, partitions)
        yield settings


@contextlib.asynccontextmanager
async def started(settings, parts, *, web=False, ready=True):
    worker = EmbeddedWorker(settings, parts, web=web)
    await worker.start()
    try:
        if ready:
            await worker.wait_ready()
        async with Client(settings) as client:
            yield worker, client
    finally:
        await worker.stop()


@contextlib.asynccontextmanager
async def running(tmp_path, pipeline=FixedPipeline, *, web=False, **more):
    with broker_for(tmp_path, **more) as settings:
        parts = await fixed_parts(tmp_path, pipeline)
        async with started(settings, parts, web=web) as (worker, client):
            yield worker, client, parts


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
        await eventually(parts.graph.graph.counts, lambda counts: counts.notes == 1)
        assert worker.crash is None


async def test_what_people_publish_takes_effect_and_what_is_invalid_is_dead_lettered_once(tmp_path):
    async with running(tmp_path) as (worker, client, parts):
        await client.publish("tags.changes", tag("hiking"), "hiking")
        await client.publish("tags.changes", tag("self", status="merged", merged_into="self"), "self")
        await client.publish("tags.changes", b"{", "broken")
        await client.publish("knowledge.changes", b'{"segment_id": "s", "kind": "rule", "text": "t"}', "s")
        await client.publish("knowledge.changes", b'{"segment_id": "s", "kind": "poem", "text": "t"}', "s")
        await client.publish("notes.labels", b'{"note_id": "n", "tag_id": "hiking", "correct": true}', "n")
        await client.publish("notes.labels", b'{"note_id": "n", "tag_id": "hiking", "correct": "yes"}', "n")

        dead = await client.wait_for(lambda records: len(records) >= 4, "notes.dead")
        letters = [read_dead_letter(each.key, each.value, each.headers) for each in dead]
        assert sorted(
            (each.source.position.topic, each.source.position.offset, each.exception) for each in letters
        ) == [
            ("knowledge.changes", 1, "DecodeError"),
            ("notes.labels", 1, "DecodeError"),
            ("tags.changes", 1, "InvalidChangeError"),
            ("tags.changes", 2, "DecodeError"),
        ]
        snapshot = parts.knowledge.snapshot()
        assert snapshot.tags.get("hiking").name == "hiking"
        assert snapshot.tags.get("self") is None
        assert snapshot.judgements.of("n") == {"hiking": True}
        # Offsets of records that were passed over count as applied: a graph without them is not behind.
        applied = await eventually(
            parts.graph.applied_offsets, lambda found: found.get(("tags.changes", 0)) == 2
        )
        assert applied["knowledge.changes", 0] == 1
        counts = await parts.graph.graph.counts()
        assert (counts.tags, counts.segments) == (1, 1)

        await client.publish("notes.new", note("n"), "n")
        (tagged,) = await client.wait_for(len, "notes.tagged")
        assert decode_tagged(tagged.value).applied.tags == 2
        assert worker.health.ready


async def test_while_milvus_is_down_intake_waits_nothing_dies_and_work_goes_on_when_it_is_back(tmp_path):
    outage = MilvusOutage()
    with broker_for(tmp_path, stuck_seconds=0.5, max_attempts=1) as settings:
        async with started(settings, await parts_of_outage(tmp_path, outage)) as (worker, client):
            for number in range(20):
                await client.publish("notes.new", note(f"n{number}"), f"n{number}")
            await eventually(
                lambda: asyncio.sleep(0, worker.health.not_ready),
                lambda reasons: any("Milvus is down" in reason for reason in reasons),
            )
            await asyncio.sleep(1)
            assert worker.health.live, "an outage must not get the process killed"
            assert await client.read_all("notes.tagged", "notes.dead") == []
            paused = worker._runtime.app.consumer._paused_partitions
            assert {partition.topic for partition in paused} >= {"notes.new", "graph.notes"}
            outage.end()
            records = await client.wait_for(lambda found: len(found) == 20, "notes.tagged")
            assert len({source_of(each) for each in records}) == 20
            assert await client.read_all("notes.dead") == []
            await worker.wait_ready()
            await eventually(lambda: asyncio.sleep(0, set(paused)), lambda held: not held)
            await client.publish("notes.new", note("later"), "later")
            await client.wait_for(lambda found: len(found) == 21, "notes.tagged")
            assert worker.crash is None


async def test_a_note_that_fails_alone_again_and_again_dies_and_its_neighbours_live(tmp_path):
    async with running(tmp_path, PickyPipeline, max_attempts=2, linger_seconds=0.2) as (worker, client, _):
        for note_id in ("a", BAD_NOTE, "b", "c"):
            await client.publish("notes.new", note(note_id), note_id)
        await client.wait_for(lambda found: len(found) == 3, "notes.tagged")
        (dead,) = await client.wait_for(len, "notes.dead")
        letter = read_dead_letter(dead.key, dead.value, dead.headers)
        assert (letter.exception, letter.stage, letter.attempts) == ("RepeatedFailureError", "tag", 2)
        assert "cannot digest this" in letter.message
        assert letter.value == note(BAD_NOTE)
        assert worker.crash is None


async def test_a_graph_that_lacks_committed_records_tags_nothing_and_names_the_remedy(tmp_path):
    with broker_for(tmp_path) as settings:
        parts = await fixed_parts(tmp_path)
        async with started(settings, parts) as (_, client):
            await client.publish("notes.new", note("n1"), "n1")
            await client.wait_for(len, "graph.edges")
            await eventually(parts.graph.applied_offsets, len)
        lost = tmp_path / "lost"
        lost.mkdir()
        parts = await fixed_parts(lost)
        async with started(settings, parts, ready=False) as (worker, client):
            await eventually(
                lambda: asyncio.sleep(0, worker.health.not_ready),
                lambda found: any("rebuild" in each for each in found),
            )
            await client.publish("notes.new", note("n2"), "n2")
            await asyncio.sleep(1)
            assert len(await client.read_all("notes.tagged")) == 1
            assert worker.health.live
            # What `streamproc graph rebuild` leaves behind, as far as the worker looks at it.
            (last,) = await client.read_all("graph.notes")
            await parts.graph.graph.write_offsets({("graph.notes", last.partition): last.offset})
            await worker.wait_ready()
            await client.wait_for(lambda found: len(found) == 2, "notes.tagged")


async def test_what_a_person_must_put_right_crashes_the_worker_and_commits_nothing(tmp_path):
    class Broken(FixedPipeline):
        async def tag(self, notes):
            raise BundleError("the bundle is broken")

    with broker_for(tmp_path) as settings:
        parts = await fixed_parts(tmp_path, Broken)
        async with started(settings, parts) as (worker, client):
            await client.publish("notes.new", note("n1"), "n1")
            await eventually(lambda: asyncio.sleep(0, worker.crash), lambda crash: crash is not None)
            assert isinstance(worker.crash, BundleError)
        again = tmp_path / "again"
        again.mkdir()
        async with started(settings, await fixed_parts(again)) as (_, client):
            await client.wait_for(len, "notes.tagged")


async def test_health_and_metrics_are_served(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def get(path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    async with running(tmp_path, web=True, web_port=port, web_host="127.0.0.1") as (_, client, _parts):
        await client.publish("notes.new", note("n1"), "n1")
        await client.wait_for(len, "graph.edges")
        assert await asyncio.to_thread(get, "/health/live") == (200, '{"ok":true,"problems":[]}')
        assert (await asyncio.to_thread(get, "/health/ready"))[0] == 200
        _, text = await asyncio.to_thread(get, "/metrics")
        for metric in (
            'streamproc_events_total{agent="tagging",outcome="tagged"}',
            'streamproc_stage_seconds_count{agent="tagging",stage="process"}',
            'streamproc_batch_events_count{agent="graph"}',
            "streamproc_oldest_unacked_seconds",
            'streamproc_dependency_down{dependency="Kafka"} 0.0',
            "streamproc_ready 1.0",
        ):
            assert metric in text


async def test_with_the_write_back_off_nothing_enters_the_graph_and_deletions_still_do(tmp_path):
    async with running(tmp_path, write_back="off") as (_, client, _parts):
        await client.publish("notes.new", note("n1"), "n1")
        await client.wait_for(len, "notes.tagged")
        await client.publish("notes.new", None, "n1")
        await client.wait_for(lambda found: len(found) == 2, "notes.tagged")
        records = await client.wait_for(lambda found: len(found) == 2, "graph.notes")
        assert [each.value for each in records] == [None, None]
        assert {json.loads(each.key)[1] for each in records} == {"stream", "import"}
        assert {header(each, "ce_type") for each in records} == {"streamproc.graph.notes.v1"}


async def test_a_partition_that_nobody_reads_makes_the_worker_unfit_to_live(tmp_path, monkeypatch):
    monkeypatch.setattr("streamproc.streams.runtime.LAG_SECONDS", 0.2)
    async with running(tmp_path, stuck_seconds=1) as (worker, client, _):
        await client.publish("notes.new", note("n1"), "n1")
        await client.wait_for(lambda found: found, "notes.tagged")
        assert worker.health.live
        reading = worker._runtime.app.consumer
        # As if a fault had stopped the reading behind everybody's back.
        reading.pause_partitions(reading.assignment())
        await client.publish("notes.new", note("n1", "more"), "n1")

        async def health():
            return worker.health

        unfit = await eventually(health, lambda health: not health.live)
        assert "stood still" in unfit.not_live[0]
        reading.resume_partitions(reading.assignment())
        assert (await eventually(health, lambda health: health.live)).ready
