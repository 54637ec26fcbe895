"""``streamproc import``."""

import asyncio
import json

import pytest
from aiokafka import AIOKafkaProducer

from streamproc.cli.load import app
from streamproc.cli.topics import app as topics
from streamproc.config import load_settings
from streamproc.errors import InputFileError
from streamproc.events.codec import decode_graph_note, decode_tag
from streamproc.inference.backend import load_bundle
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.calibration_file import map_of


async def published(topic, *records):
    async with AIOKafkaProducer(bootstrap_servers=load_settings().kafka_bootstrap) as producer:
        for key, value in records:
            await producer.send_and_wait(topic, value, key)


def test_labelled_history_becomes_notes_of_the_graph(runner, broker, jsonl, records):
    rows = [
        {"id": "h1", "title": "Tea", "text": "Green.", "tags": ["tea", "Café"]},
        {"id": "h2", "text": "No tags."},
    ]
    result = runner.invoke(app, ["notes", str(jsonl(*rows, name="history.jsonl"))])
    assert result.exit_code == 0, result.exception
    by_key = {record.key: decode_graph_note(record.value) for record in records("graph.notes")}
    first = by_key[b'["h1","import"]']
    assert [(tag.tag_id, tag.weight, tag.provenance) for tag in first.tags] == [
        ("tea", 1.0, "import"),
        ("Café", 1.0, "import"),
    ]
    assert str(first.source) == "import:history.jsonl/0/1"
    assert first.encoder == Bundle.load(default_bundle_path()).manifest.encoder.float_sha256
    assert first.vector == ""
    assert by_key[b'["h2","import"]'].source.offset == 2


def test_importing_again_repeats_the_same_bytes(runner, broker, jsonl, records):
    file = jsonl({"id": "h1", "text": "x", "tags": ["tea"]})
    for _ in range(2):
        assert runner.invoke(app, ["notes", str(file)]).exit_code == 0
    first, second = records("graph.notes")
    assert first.value == second.value


def test_the_sample_repository_can_be_imported(runner, broker, records):
    tags = default_bundle_path().parents[1] / "samples" / "tags.jsonl"
    result = runner.invoke(app, ["tags", str(tags)])
    assert result.exit_code == 0, result.exception
    changes = [decode_tag(record.value, record.key) for record in records("tags.changes")]
    assert [change.name for change in changes] == [
        json.loads(line)["tag"] for line in tags.read_text().splitlines() if line.strip()
    ]


def test_labelled_history_gives_confidences_for_every_worker(runner, broker, tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMPROC_CACHE_DIR", str(tmp_path / "cache"))
    samples = default_bundle_path().parents[1] / "samples"
    assert runner.invoke(app, ["tags", str(samples / "tags.jsonl")]).exit_code == 0
    file = tmp_path / "calibration.json"
    result = runner.invoke(app, ["notes", str(samples / "history.jsonl"), "--calibration", str(file)])
    assert result.exit_code == 0, result.exception
    assert f"STREAMPROC_CALIBRATION={file}" in result.stderr
    before = map_of(load_bundle(load_settings()))
    monkeypatch.setenv("STREAMPROC_CALIBRATION", str(file))
    assert map_of(load_bundle(load_settings())) != before


def test_confidences_are_fitted_though_a_tag_changed_after_others_were_merged_into_it(
    runner, broker, jsonl, tmp_path, monkeypatch
):
    monkeypatch.setenv("STREAMPROC_CACHE_DIR", str(tmp_path / "cache"))
    samples = default_bundle_path().parents[1] / "samples"
    last = json.loads((samples / "tags.jsonl").read_text().splitlines()[-1])
    before = jsonl(
        {"tag": "old name", "status": "merged", "merged_into": last["tag"]}, last, name="changed.jsonl"
    )
    assert runner.invoke(app, ["tags", str(samples / "tags.jsonl")]).exit_code == 0
    assert runner.invoke(app, ["tags", str(before)]).exit_code == 0
    file = tmp_path / "calibration.json"
    result = runner.invoke(app, ["notes", str(samples / "history.jsonl"), "--calibration", str(file)])
    assert result.exit_code == 0, result.exception
    assert file.exists()


def test_labels_that_name_no_published_tag_are_told_with_what_to_do(runner, broker, jsonl, records):
    tags = jsonl(
        {"tag": "tea"},
        {"tag_id": "c1", "tag": "Coffee"},
        {"tag": "char", "status": "merged", "merged_into": "tea"},
        {"tag": "gone", "status": "deprecated"},
        name="tags.jsonl",
    )
    assert runner.invoke(app, ["tags", str(tags)]).exit_code == 0
    history = jsonl(
        {"id": "h1", "text": "x", "tags": ["tea", "milk", "char", "gone"]},
        {"id": "h2", "text": "x", "tags": ["milk", " milk ", "Coffee"]},
        {"id": "h3", "text": "x", "tags": ["tea", "c1"]},
        {"id": "h4", "text": "x"},
    )
    result = runner.invoke(app, ["notes", str(history)])
    assert result.exit_code == 0, result.exception
    *_, unheard, misnamed = result.stderr.splitlines()
    assert unheard == (
        "2 labels name no published tag, on 2 of 3 labelled notes (such as 'milk', 'Coffee'): nothing is tagged with "
        "them. They count as soon as tags of these ids are published (streamproc import tags FILE); the notes need not "
        "be imported again."
    )
    assert misnamed == (
        "1 of them is the name of a tag that has an id of its own: write 'c1' in place of 'Coffee', and import the notes "
        "again."
    )
    assert len(records("graph.notes")) == 4


def test_where_every_label_names_a_tag_nothing_is_said_of_labels(runner, broker, jsonl):
    assert runner.invoke(app, ["tags", str(jsonl({"tag": "tea"}, name="tags.jsonl"))]).exit_code == 0
    result = runner.invoke(app, ["notes", str(jsonl({"id": "h1", "text": "x", "tags": ["tea"]}))])
    assert result.exit_code == 0, result.exception
    assert "no published tag" not in result.stderr


@pytest.mark.parametrize("fit", ["on", "off"])
def test_before_any_tag_is_published_every_label_is_told(runner, broker, jsonl, monkeypatch, fit):
    monkeypatch.setenv("STREAMPROC_FIT_CONFIDENCES", fit)
    result = runner.invoke(app, ["notes", str(jsonl({"id": "h1", "text": "x", "tags": ["tea"]}))])
    assert result.exit_code == 0, result.exception
    assert "1 label names no published tag, on 1 of 1 labelled notes (such as 'tea')" in result.stderr


def test_what_stands_on_the_topic_and_is_no_tag_is_passed_over_as_workers_do(broker, jsonl, runner):
    asyncio.run(published(f"{broker}tags.changes", (b"broken", b"{"), (b"gone", None)))
    assert runner.invoke(app, ["tags", str(jsonl({"tag": "tea"}, name="tags.jsonl"))]).exit_code == 0
    result = runner.invoke(app, ["notes", str(jsonl({"id": "h1", "text": "x", "tags": ["tea", "milk"]}))])
    assert result.exit_code == 0, result.exception
    assert "(such as 'milk')" in result.stderr


def test_apache_kafka_is_asked_for_the_tags_too(runner, apache_kafka, jsonl):
    assert runner.invoke(topics, ["create"]).exit_code == 0
    tags = jsonl(*({"tag": f"tag {n}"} for n in range(2000)), name="tags.jsonl")
    assert runner.invoke(app, ["tags", str(tags)]).exit_code == 0
    notes = ({"id": f"h{n}", "text": "x", "tags": [f"tag {n}"]} for n in range(2100))
    result = runner.invoke(app, ["notes", str(jsonl(*notes))], env={"STREAMPROC_FIT_CONFIDENCES": "off"})
    assert result.exit_code == 0, result.exception
    assert "100 labels name no published tag, on 100 of 2,100 labelled notes" in result.stderr


def test_a_few_labelled_notes_leave_confidences_as_they_are(runner, broker, jsonl, tmp_path):
    file = jsonl({"id": "h1", "text": "x", "tags": ["tea"]})
    result = runner.invoke(app, ["notes", str(file), "--calibration", str(tmp_path / "calibration.json")])
    assert "confidences stay as they are: 1 labelled notes" in result.stderr
    assert not (tmp_path / "calibration.json").exists()


def test_a_calibration_that_could_not_be_written_is_refused_before_anything_is_sent(
    runner, broker, jsonl, tmp_path, records
):
    file = jsonl({"id": "h1", "text": "x", "tags": ["tea"]})
    result = runner.invoke(app, ["notes", str(file), "--calibration", str(tmp_path / "no" / "c.json")])
    assert isinstance(result.exception, InputFileError)
    assert records("graph.notes") == []


def test_knowledge_is_imported(runner, broker, jsonl, records):
    result = runner.invoke(
        app, ["knowledge", str(jsonl({"segment_id": "s", "kind": "handbook", "text": "Be kind."}))]
    )
    assert result.exit_code == 0, result.exception
    assert records("knowledge.changes")[0].key == b"s"


def test_a_wrong_field_is_named_and_nothing_is_sent(runner, broker, jsonl, records):
    file = jsonl({"tag": "a"}, {"tag": "b", "policy": "sometimes"})
    error = runner.invoke(app, ["tags", str(file)]).exception
    assert isinstance(error, InputFileError)
    assert "line 2: not a TagChange: policy is \"sometimes\": Invalid enum value 'sometimes'" in str(error)
    assert records("tags.changes") == []
