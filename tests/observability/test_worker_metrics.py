"""A worker's ``/metrics`` after real traffic: the shipped models, a broker in memory, what consumers read beside it."""

import asyncio

import pytest

from tests.observability.traffic import publish_traffic
from tests.servers.worker import worker_process

STAGES = {"encode", "search", "recall", "tag", "judge", "decide"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with worker_process(tmp_path_factory.mktemp("worker")) as worker:
        published = asyncio.run(publish_traffic(worker))
        yield worker, published.tagged, published.tags


def test_records_are_counted_by_their_outcome(run):
    worker, outcomes, _ = run
    found = {
        each.labels["outcome"]: each.value
        for each in worker.scrape()
        if each.name == "streamproc_events_total" and each.labels["agent"] == "tagging"
    }
    assert found == {"tagged": len(outcomes), "unsupported_language": 1, "deleted": 1, "dead": 1}
    assert worker.value("streamproc_batch_events_sum", agent="tagging") == len(outcomes) + 3
    assert worker.value("streamproc_dead_letters_total", stage="decode", reason="DecodeError") == 1
    # An alert on the increase of a series misses the increase of one that is born with it.
    assert worker.value("streamproc_events_total", agent="graph", outcome="dead") == 0


def test_tags_confidences_and_paths_are_those_that_consumers_read(run):
    worker, outcomes, _ = run
    tags = [tag for outcome in outcomes for tag in outcome.tags]
    assert len(tags) > 10
    assert worker.value("streamproc_note_tags_count") == len(outcomes)
    assert worker.value("streamproc_note_tags_sum") == len(tags)
    assert worker.value("streamproc_tag_confidence_ratio_count") == len(tags)
    assert worker.value("streamproc_tag_confidence_ratio_sum") == pytest.approx(
        sum(tag.confidence for tag in tags)
    )
    assert worker.value("streamproc_tag_confidence_ratio_bucket", le="0.8") == sum(
        tag.confidence <= 0.8 for tag in tags
    )
    for path in ("c2t", "c2c2t", "lexical"):
        assert worker.value("streamproc_emitted_tag_paths_total", path=path) == sum(
            path in tag.paths for tag in tags
        )
    assert worker.value("streamproc_note_candidates_count") == len(outcomes)
    assert worker.value("streamproc_note_candidates_sum") >= len(tags)
    assert worker.value("streamproc_review_tags_total") == sum(len(outcome.review) for outcome in outcomes)
    assert worker.value("streamproc_truncated_notes_total") == sum(outcome.truncated for outcome in outcomes)


def test_every_stage_is_timed(run):
    worker, outcomes, _ = run
    samples = worker.scrape()
    inside = {
        each.labels["stage"]: each.value
        for each in samples
        if each.name == "streamproc_pipeline_seconds_count"
    }
    assert inside.keys() == STAGES
    assert len(set(inside.values())) == 1
    spent = {
        each.labels["stage"]: each.value for each in samples if each.name == "streamproc_pipeline_seconds_sum"
    }
    assert all(seconds > 0 for seconds in spent.values())
    # The stages are parts of the whole.
    assert sum(spent.values()) <= worker.value(
        "streamproc_stage_seconds_sum", agent="tagging", stage="process"
    )
    stages = {
        (each.labels["agent"], each.labels["stage"])
        for each in samples
        if each.name == "streamproc_stage_seconds_count" and each.value > 0
    }
    agents = ("tagging", "graph", "repository")
    assert stages == {(agent, stage) for agent in agents for stage in ("process", "deliver", "settle")}
    assert worker.value("streamproc_outcome_delay_seconds_count", agent="tagging") == len(outcomes) + 3
    assert worker.value("streamproc_recall_delay_seconds_count") == len(outcomes)


def test_judgements_and_what_the_tails_have_read(run):
    worker, _, tags = run
    assert worker.value("streamproc_judgements_total", correct="true") == 2
    assert worker.value("streamproc_judgements_total", correct="false") == 1
    assert worker.value("streamproc_tail_next_offset", topic="tags.changes") == tags
    samples = worker.scrape()
    labels = [
        each.value
        for each in samples
        if each.name == "streamproc_tail_next_offset" and each.labels["topic"] == "notes.labels"
    ]
    assert sum(labels) == 3
    assert {each.value for each in samples if each.name == "streamproc_tail_lag_records"} == {0}


def test_versions_are_those_of_the_outcomes(run):
    worker, outcomes, _ = run
    (models,) = [each for each in worker.scrape() if each.name == "streamproc_models_info"]
    versions = outcomes[-1].models
    assert models.labels == {name: getattr(versions, name) for name in versions.__struct_fields__}
    assert worker.value("streamproc_worker_info", inference="onnx") == 1


async def test_the_lag_of_every_assigned_partition_falls_to_nothing(run):
    worker, _, _ = run

    def lag():
        return {
            (each.labels["topic"], each.labels["partition"]): each.value
            for each in worker.scrape()
            if each.name == "streamproc_committed_lag_records"
        }

    for _ in range(150):
        found = await asyncio.to_thread(lag)
        if set(found.values()) == {0}:
            break
        await asyncio.sleep(0.2)
    assert found == {
        (topic, str(number)): 0
        for topic, partitions in (
            ("notes.new", 2),
            ("graph.notes", 2),
            ("notes.labels", 2),
            ("tags.changes", 1),
            ("knowledge.changes", 1),
        )
        for number in range(partitions)
    }


def test_a_worker_at_rest_is_ready_and_holds_nothing(run):
    worker, _, _ = run
    assert worker.value("streamproc_ready") == 1
    assert worker.value("streamproc_in_flight_events") == 0
    assert worker.value("streamproc_oldest_unacked_seconds") == 0
    for dependency in ("Kafka", "Milvus"):
        assert worker.value("streamproc_dependency_down", dependency=dependency) == 0
        assert worker.value("streamproc_dependency_outages_total", dependency=dependency) == 0
    assert worker.value("process_resident_memory_bytes") > 1e8
