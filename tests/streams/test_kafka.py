"""The worker as a process on Apache Kafka: sharing, dying, stopping. Fixed models, a real graph."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import time
import urllib.error
import urllib.request
import uuid

import pytest

from streamproc.config import Settings
from streamproc.errors import DependencyDownError
from streamproc.events.codec import decode_graph_note
from streamproc.events.position import Source, SourcePosition
from streamproc.events.record import InputRecord
from streamproc.graph.milvus import GraphAddress
from streamproc.graph.rebuild import rebuild
from streamproc.graph.rows import stored_note
from streamproc.graph.store import MilvusGraph
from streamproc.graph.writer import GraphWriter
from streamproc.streams.admin import create_topics
from streamproc.streams.dead_letter import read_dead_letter
from tests.servers.kafka import KafkaServer
from tests.servers.milvus import MilvusLiteServer
from tests.servers.process import Started, free_ports
from tests.streams.fixed import DIMENSION, Client, FixedEncoder, header, settings_for, source_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def note(note_id, title="Title", text="a text"):
    return json.dumps({"note_id": note_id, "title": title, "text": text}).encode()


@pytest.fixture
async def settings(kafka_bootstrap, milvus_server, tmp_path):
    settings = settings_for(
        kafka_bootstrap, tmp_path, prefix=f"t{uuid.uuid4().hex[:8]}.", milvus_uri=milvus_uri(milvus_server)
    )
    # The input topic takes more than a worker accepts: the broker's limit is raised, the worker's is not.
    await create_topics(settings.model_copy(update={"max_note_bytes": 11 * 1024 * 1024}))
    return settings


def milvus_uri(server):
    return server if isinstance(server, str) else server.uri


class Process:
    """One worker; its logs are kept for the report of a failure."""

    def __init__(self, settings: Settings, log, **more):
        variables = {
            name if name.isupper() else f"STREAMPROC_{name.upper()}": str(value)
            for name, value in {**settings.model_dump(include=settings.model_fields_set), **more}.items()
        }
        self.log = log
        command = [sys.executable, "-m", "tests.streams.fixed_worker"]
        self.process = Started(command, log, environment={**os.environ, **variables})

    def kill(self):
        self.process.kill()

    async def terminate(self, seconds=30):
        self.process.send(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, seconds)

    def running(self):
        return self.process.status is None


@pytest.fixture
def start(settings, tmp_path, request):
    started = []

    def start(number=0, **more):
        started.append(Process(settings, tmp_path / f"worker-{number}.log", **more))
        return started[-1]

    yield start
    for process in started:
        process.kill()
    for log in sorted(tmp_path.glob("worker-*.log")):
        print(f"--- {log.name}\n{log.read_text()[-3000:]}")  # noqa: T201 - shown by pytest when the test fails


async def outcome_of_every(client, positions, seconds=90):
    names = client.names
    expected = set(positions)
    deadline = time.monotonic() + seconds
    while True:
        records = await client.read_all(names.notes_tagged, names.notes_dead)
        missing = expected - {source_of(record) for record in records}
        if not missing:
            return records
        assert time.monotonic() < deadline, (
            f"{len(missing)} of {len(expected)} without an outcome: {sorted(missing)[:5]}"
        )
        await asyncio.sleep(0.5)


async def until_assigned(*processes, seconds=60):
    """Wait until each of the workers has been given partitions."""
    deadline = time.monotonic() + seconds
    while not all(b"partitions assigned" in each.log.read_bytes() for each in processes):
        assert time.monotonic() < deadline, "a worker was given no partitions"
        await asyncio.sleep(0.1)


async def progress(client, outcomes, seconds=60):
    """Wait until there are more outcomes than before; say how many."""
    deadline = time.monotonic() + seconds
    while True:
        now = len({source_of(each) for each in await client.read_all(client.names.notes_tagged)})
        if now > outcomes:
            return now
        assert time.monotonic() < deadline, "the work stands still"
        await asyncio.sleep(0.1)


async def open_graph(settings):
    address = GraphAddress(settings.milvus_uri, topic_prefix=settings.topic_prefix, timeout_seconds=30)
    for _ in range(10):
        with contextlib.suppress(DependencyDownError):
            return await MilvusGraph.open(address, FixedEncoder.weights_hash, DIMENSION)
        await asyncio.sleep(2)
    raise AssertionError("Milvus does not answer")


async def rows_of(graph):
    return {row.note.key: row.note async for page in graph.all_notes() for row in page}


async def compacted(client):
    last = {record.key: record.value for record in await client.read_all(client.names.graph_notes)}
    notes = [stored_note(decode_graph_note(value)) for value in last.values() if value is not None]
    return {each.key: each for each in notes}


async def rows_equal_log(client, graph, seconds=40):
    deadline = time.monotonic() + seconds
    while True:
        rows, log = await rows_of(graph), await compacted(client)
        if rows == log:
            return rows
        assert time.monotonic() < deadline, f"{len(rows)} rows, {len(log)} notes in the log"
        await asyncio.sleep(0.5)


async def test_a_text_of_ten_megabytes_is_a_dead_letter(settings, start):
    process = start()
    async with Client(settings) as client:
        names = client.names
        value = note("huge", text="a word " * (10 * 1024 * 1024 // 7))
        positions = [
            await client.publish(names.notes_new, note("before"), "before"),
            await client.publish(names.notes_new, value, "huge"),
            await client.publish(names.notes_new, note("after"), "after"),
        ]
        records = await outcome_of_every(client, positions)
        (dead,) = [record for record in records if record.topic == names.notes_dead]
        letter = read_dead_letter(dead.key, dead.value, dead.headers)
        assert letter.truncated
        assert value.startswith(letter.value)
        assert len(letter.value) == 256 * 1024
        assert header(dead, "__streams.errors.exception") == "DecodeError"
    assert process.running()


async def test_two_workers_share_the_work_and_one_takes_over_when_the_other_stops(settings, start):
    one, two = start(1), start(2)
    await until_assigned(one, two)
    async with Client(settings) as client:
        first = await client.publish_many(
            client.names.notes_new, [(note(f"n{i}"), f"n{i}".encode()) for i in range(500)]
        )
        await outcome_of_every(client, first)
        assert await one.terminate() == 0
        second = await client.publish_many(
            client.names.notes_new, [(note(f"n{i}", "Again"), f"n{i}".encode()) for i in range(500)]
        )
        await outcome_of_every(client, second)
        graph = await open_graph(settings)
        rows = await rows_equal_log(client, graph)
        assert len(rows) == 500
        assert {row.tags[0].tag_id for row in rows.values()} == {"Again"}
        await graph.close()
    assert await two.terminate() == 0


async def test_sigterm_commits_so_that_nothing_is_done_twice(settings, start):
    async with Client(settings) as client:
        positions = await client.publish_many(
            client.names.notes_new, [(note(f"n{i}"), f"n{i}".encode()) for i in range(300)]
        )
        process = start()
        await outcome_of_every(client, positions)
        assert await process.terminate() == 0
        before = len(await client.read_all(client.names.notes_tagged))
        assert before == 300
        process = start()
        late = await client.publish(client.names.notes_new, note("late"), "late")
        await outcome_of_every(client, [late])
        assert len(await client.read_all(client.names.notes_tagged)) == before + 1
        assert await process.terminate() == 0


async def test_killed_at_random_moments_every_note_has_its_outcome_and_the_graph_equals_the_log(
    settings, start
):
    """Three thousand records, some of them rewriting or deleting a note, two workers, four SIGKILLs in mid-work."""
    chance = random.Random(time.time_ns())
    pairs = [(note(f"n{i}", f"T{i % 7}"), f"n{i}".encode()) for i in range(2700)]
    pairs += [(note(f"n{i}", "Again"), f"n{i}".encode()) for i in range(0, 2700, 18)]
    pairs += [(None, f"n{i}".encode()) for i in range(1, 2700, 18)]
    chance.shuffle(pairs)
    async with Client(settings) as client:
        positions = await client.publish_many(client.names.notes_new, pairs)
        slowly = {"batch_size": 16, "FIXED_SECONDS": 0.1}
        workers = [start(1, **slowly), start(2, **slowly)]
        outcomes = 0
        for _ in range(4):
            outcomes = await progress(client, outcomes)
            assert outcomes < len(positions), "the work was done before the last kill"
            await asyncio.sleep(chance.uniform(0, 0.5))
            victim = chance.randrange(2)
            workers[victim].kill()
            workers[victim] = start(victim + 1, **slowly)
        records = await outcome_of_every(client, positions)
        for each in records:
            assert header(each, "ce_id").endswith("/".join(map(str, source_of(each))))
        # Repeated or replaced under the same key, the last counts: it is that of the key's last record.
        last_input = {key: position for (_, key), position in zip(pairs, positions, strict=True)}
        last_output = {each.key: source_of(each) for each in records}
        assert last_output == last_input

        graph = await open_graph(settings)
        rows = await rows_equal_log(client, graph)
        assert len(rows) > 2000
        assert all(worker.running() for worker in workers)
        for worker in workers:
            assert await worker.terminate() == 0

        await rebuild(
            GraphWriter(graph, FixedEncoder()),
            tags=nothing(),
            knowledge=nothing(),
            notes=log_of(client),
            progress=lambda _: None,
        )
        assert await rows_of(graph) == rows
        await graph.close()


async def nothing():
    for batch in ():
        yield batch


async def log_of(client):
    records = [
        InputRecord(
            Source(SourcePosition(each.topic, each.partition, each.offset), each.timestamp),
            each.key,
            each.value,
            each.headers,
        )
        for each in await client.read_all(client.names.graph_notes)
    ]
    for start in range(0, len(records), 256):
        yield records[start : start + 256]


async def test_a_note_that_kills_every_process_is_dead_the_third_time_and_takes_no_other_along(
    settings, start
):
    pairs = [(note(f"n{i}"), f"n{i}".encode()) for i in range(100)]
    deadly = {"FIXED_DEADLY": "n50", "batch_size": 8}
    async with Client(settings) as client:
        positions = await client.publish_many(client.names.notes_new, pairs)
        for number in range(3):
            process = start(number, **deadly)
            assert await asyncio.to_thread(process.process.wait, 60) == -signal.SIGKILL
        process = start(3, **deadly)
        records = await outcome_of_every(client, positions)
        (dead,) = [record for record in records if record.topic == client.names.notes_dead]
        letter = read_dead_letter(dead.key, dead.value, dead.headers)
        assert (dead.key, letter.exception, letter.stage, letter.attempts) == (
            b"n50",
            "FatalRecordError",
            "process",
            3,
        )
        assert process.running()
        assert await process.terminate() == 0
    log = (process.log).read_text()
    assert "did not end as it should" in log


async def test_a_note_that_is_not_finished_when_the_worker_must_end_is_taken_alone_by_the_next(
    settings, start
):
    """What hangs: its worker is told to end, waits for it in vain and leaves the mark."""
    (port,) = free_ports(1)
    async with Client(settings) as client:
        hanging = {"FIXED_SECONDS": 60, "drain_seconds": 1, "web_port": port, "web_host": "127.0.0.1"}
        process = start(1, **hanging)
        position = await client.publish(client.names.notes_new, note("n1"), "n1")
        await until_told(port, "streamproc_in_flight_events 1.0", page="metrics")
        assert await process.terminate() == 0
        process = start(2)
        await outcome_of_every(client, [position])
        assert b"did not end as it should" in process.log.read_bytes()
        assert await process.terminate() == 0


async def test_a_worker_that_ends_as_it_should_leaves_nothing_suspected(settings, start):
    async with Client(settings) as client:
        for number in range(2):
            process = start(number)
            position = await client.publish(client.names.notes_new, note(f"n{number}"), f"n{number}")
            await outcome_of_every(client, [position])
            assert await process.terminate() == 0
            assert b"did not end as it should" not in process.log.read_bytes()


async def test_a_worker_that_is_there_before_its_topics_says_so_and_reads_them_soon_after_they_are_made(
    kafka_bootstrap, milvus_server, tmp_path
):
    settings = settings_for(
        kafka_bootstrap, tmp_path, prefix=f"t{uuid.uuid4().hex[:8]}.", milvus_uri=milvus_uri(milvus_server)
    )
    (port,) = free_ports(1)
    process = Process(settings, tmp_path / "worker.log", web_port=port, web_host="127.0.0.1")
    try:
        await until_told(port, f"{settings.topic_prefix}notes.new does not exist")
        await create_topics(settings)
        async with Client(settings) as client:
            position = await client.publish(client.names.notes_new, note("n1"), "n1")
            await outcome_of_every(client, [position], 45)
            await until_told(port, '"problems":[]')
    finally:
        process.kill()


async def until_told(port, wanted, page="health/ready", seconds=60):
    """Wait until this stands on a page of a worker."""
    deadline = time.monotonic() + seconds
    while wanted not in (told := await told_by(port, page)):
        assert time.monotonic() < deadline, told
        await asyncio.sleep(0.2)


async def told_by(port, page):
    def ask():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=5) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError as error:  # it does not listen yet
            return str(error)

    return await asyncio.to_thread(ask)


async def test_sigterm_while_kafka_is_away_ends_the_worker_in_time(tmp_path, milvus_server):
    with KafkaServer() as kafka:
        settings = settings_for(kafka.bootstrap, tmp_path, milvus_uri=milvus_uri(milvus_server))
        await create_topics(settings)
        process = Process(settings, tmp_path / "worker.log")
        try:
            await until_assigned(process)
            await asyncio.to_thread(kafka.kill)
            await asyncio.sleep(5)
            began = time.monotonic()
            await process.terminate(40)
            assert time.monotonic() - began < 30
            assert b"Traceback" not in process.log.read_bytes()
        finally:
            process.kill()


async def test_a_milvus_that_comes_back_without_its_data_makes_the_worker_say_so_and_wait(
    settings, start, tmp_path
):
    with MilvusLiteServer(tmp_path / "own.db") as milvus:
        (port,) = free_ports(1)
        async with Client(settings.model_copy(update={"milvus_uri": milvus.uri})) as client:
            process = start(1, milvus_uri=milvus.uri, web_port=port, web_host="127.0.0.1")
            first = await client.publish(client.names.notes_new, note("n1"), "n1")
            await outcome_of_every(client, [first])
            await asyncio.to_thread(milvus.kill)
            shutil.rmtree(tmp_path / "own.db")
            await asyncio.to_thread(milvus.start)
            await client.publish(client.names.notes_new, note("n2"), "n2")
            await until_told(port, "graph rebuild")
            await asyncio.sleep(5)
            assert process.running()
            assert await client.read_all(client.names.notes_dead) == []


async def test_a_broker_that_restarts_in_mid_work_costs_no_note_and_no_worker(settings, start, kafka_server):
    pairs = [(note(f"n{i}"), f"n{i}".encode()) for i in range(1500)]
    async with Client(settings) as client:
        positions = await client.publish_many(client.names.notes_new, pairs)
        process = start(1, batch_size=16, FIXED_SECONDS=0.03)
        await progress(client, 0)
        await asyncio.to_thread(kafka_server.restart)
        records = await outcome_of_every(client, positions)
        assert {record.topic for record in records} == {client.names.notes_tagged}
        # The tails go on as well: what is published now is known to the next outcomes.
        tag = b'{"tag_id": "new", "name": "new", "changed_at": "2026-01-01T00:00:00Z"}'
        await client.publish(client.names.tags_changes, tag, "new")
        applied = -1
        for number in range(50):
            position = await client.publish(client.names.notes_new, note(f"later{number}"), f"later{number}")
            records = await outcome_of_every(client, [position])
            *_, applied = [  # it may come out twice: the restart began the work anew
                json.loads(each.value)["applied"].get("tags", -1)
                for each in records
                if source_of(each) == position
            ]
            if applied == 0:
                break
            await asyncio.sleep(0.2)
        assert applied == 0
        assert process.running()
        assert await process.terminate() == 0


async def test_a_worker_logs_in_with_scram(settings, start, kafka_server):
    process = start(
        1,
        kafka_bootstrap=kafka_server.sasl_bootstrap,
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_sasl_username=kafka_server.username,
        kafka_sasl_password=kafka_server.password,
    )
    async with Client(settings) as client:
        position = await client.publish(client.names.notes_new, note("n1"), "n1")
        await outcome_of_every(client, [position])
    assert await process.terminate() == 0


async def test_milvus_killed_and_started_again_costs_no_note_and_no_worker(settings, start, tmp_path):
    pairs = [(note(f"n{i}"), f"n{i}".encode()) for i in range(600)]
    with MilvusLiteServer(tmp_path / "own.db") as milvus:
        own = settings.model_copy(update={"milvus_uri": milvus.uri})
        async with Client(own) as client:
            process = start(1, milvus_uri=milvus.uri, batch_size=16, FIXED_SECONDS=0.1)
            positions = await client.publish_many(client.names.notes_new, pairs)
            await progress(client, 0)
            await asyncio.to_thread(milvus.kill)
            await asyncio.sleep(5)
            await asyncio.to_thread(milvus.start)
            records = await outcome_of_every(client, positions)
            assert {record.topic for record in records} == {client.names.notes_tagged}
            graph = await open_graph(own)
            assert len(await rows_equal_log(client, graph)) == 600
            await graph.close()
            assert process.running()
            assert await process.terminate() == 0


async def test_a_process_that_stood_still_for_a_session_gives_its_work_up_and_goes_on(settings, start):
    """SIGSTOP, as a suspended machine; the other worker takes over meanwhile, and both are well afterwards."""
    pairs = [(note(f"n{i}"), f"n{i}".encode()) for i in range(1200)]
    async with Client(settings) as client:
        slowly = {"batch_size": 16, "FIXED_SECONDS": 0.1}
        frozen, other = start(1, **slowly), start(2, **slowly)
        positions = await client.publish_many(client.names.notes_new, pairs)
        await until_assigned(frozen, other)
        frozen.process.send(signal.SIGSTOP)
        await asyncio.sleep(9)
        frozen.process.send(signal.SIGCONT)
        positions += await client.publish_many(
            client.names.notes_new, [(note(f"n{i}", "Again"), f"n{i}".encode()) for i in range(300)]
        )
        records = await outcome_of_every(client, positions)
        last_output = {each.key: json.loads(each.value)["tags"][0]["tag_id"] for each in records}
        assert all(last_output[f"n{i}".encode()] == "Again" for i in range(300))
        assert frozen.running()
        assert other.running()
        graph = await open_graph(settings)
        await rows_equal_log(client, graph)
        await graph.close()
        assert await frozen.terminate() == 0
        assert await other.terminate() == 0
    assert b"stood still" in frozen.log.read_bytes()


async def test_a_crash_ends_the_process_with_a_failure_status(settings, start):
    process = start(1, FIXED_CRASH=1)
    async with Client(settings) as client:
        await client.publish(client.names.notes_new, note("n1"), "n1")
        assert await asyncio.to_thread(process.process.wait, 60) == 1
        assert await client.read_all(client.names.notes_tagged, client.names.notes_dead) == []
