"""What the metrics say while something is wrong: a worker in this process, on a broker in memory, with fixed models."""

import pytest

from streamproc.observability.metrics import REGISTRY
from tests.streams.faulty import BAD_NOTE, MilvusOutage, PickyPipeline, parts_of_outage
from tests.streams.test_worker_embedded import broker_for, eventually, note, running, started


def value(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.fixture
def grown():
    """How much a counter has grown since the test began: the registry is the process's."""
    before = {}
    for family in REGISTRY.collect():
        for sample in family.samples:
            before[sample.name, frozenset(sample.labels.items())] = sample.value
    return lambda name, **labels: value(name, **labels) - before.get((name, frozenset(labels.items())), 0.0)


async def rises_to(least, name, **labels):
    async def ask():
        return value(name, **labels)

    await eventually(ask, lambda found: found >= least, seconds=20)


async def falls_to_nothing(name, **labels):
    async def ask():
        return value(name, **labels)

    await eventually(ask, lambda found: found == 0, seconds=20)


async def test_an_outage_is_seen_and_counted_while_the_lag_grows(tmp_path, grown, monkeypatch):
    outage = MilvusOutage()
    monkeypatch.setattr("streamproc.streams.runtime.LAG_SECONDS", 0.5)
    with broker_for(tmp_path, topic_partitions=1) as settings:
        async with started(settings, await parts_of_outage(tmp_path, outage)) as (_, client):
            for number in range(30):
                await client.publish("notes.new", note(f"n{number}"), f"n{number}")
            await rises_to(1, "streamproc_dependency_down", dependency="Milvus")
            # The intake is held: only the ends of the log, asked for, show what waits.
            await client.publish("notes.new", note("late"), "late")
            await rises_to(31, "streamproc_committed_lag_records", topic="notes.new", partition="0")
            assert value("streamproc_dependency_down", dependency="Kafka") == 0
            assert grown("streamproc_events_total", agent="tagging", outcome="tagged") == 0
            outage.end()
            await client.wait_for(lambda found: len(found) == 31, "notes.tagged")
            await falls_to_nothing("streamproc_dependency_down", dependency="Milvus")
            await falls_to_nothing("streamproc_committed_lag_records", topic="notes.new", partition="0")
            assert grown("streamproc_dependency_outages_total", dependency="Milvus") == 1
            assert grown("streamproc_events_total", agent="tagging", outcome="dead") == 0


async def test_attempts_and_the_dead_letter_of_a_note_that_fails_alone(tmp_path, grown):
    async with running(tmp_path, PickyPipeline, max_attempts=3, linger_seconds=0.2) as (_, client, _):
        for note_id in ("a", BAD_NOTE, "b", "c"):
            await client.publish("notes.new", note(note_id), note_id)
        await client.wait_for(len, "notes.dead")
        await client.wait_for(lambda found: len(found) == 3, "notes.tagged")
        await rises_to(1, "streamproc_dead_letters_total", stage="tag", reason="RepeatedFailureError")
    assert grown("streamproc_retries_total", agent="tagging", reason="ValueError") >= 2
    assert grown("streamproc_dead_letters_total", stage="tag", reason="RepeatedFailureError") == 1
    assert grown("streamproc_events_total", agent="tagging", outcome="dead") == 1
    assert grown("streamproc_events_total", agent="tagging", outcome="tagged") == 3
    # The note that died has no tags to speak of.
    assert grown("streamproc_note_tags_count") == 3
