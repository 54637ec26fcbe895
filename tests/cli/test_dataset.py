"""``streamproc dataset export``."""

import json

import pytest

from streamproc.cli.dataset import app
from streamproc.cli.load import app as load
from streamproc.cli.publish import app as publish
from streamproc.cli.topics import app as topics
from streamproc.errors import UserError
from streamproc.evaluation.dataset import Split, read_dataset


@pytest.fixture
def labelled(runner, broker, jsonl):
    """The embedded broker with twenty imported notes, and what people said of two of them."""
    publish_labelled(runner, jsonl)


def publish_labelled(runner, jsonl):
    tags = jsonl({"tag": "tea", "description": "a drink"}, {"tag": "coffee"}, name="tags.jsonl")
    notes = jsonl(
        *(
            {
                "id": f"h{number}",
                "text": f"cup {number}",
                "tags": ["tea"],
                "date": f"2026-01-{number + 1:02}",
            }
            for number in range(20)
        ),
        name="notes.jsonl",
    )
    labels = jsonl(
        {"note_id": "h0", "tag_id": "tea", "correct": False},
        {"note_id": "h1", "tag_id": "coffee", "correct": True},
        name="labels.jsonl",
    )
    for command, what, file in ((load, "tags", tags), (load, "notes", notes), (publish, "labels", labels)):
        assert runner.invoke(command, [what, str(file)]).exit_code == 0


def test_what_people_said_becomes_a_dataset(runner, labelled, tmp_path):
    result = runner.invoke(app, ["export", str(tmp_path / "out"), "--by-date"])
    assert result.exit_code == 0, result.exception
    assert "20 notes (16 for train, 2 for valid, 2 for test), 2 tags, 1 rejections" in result.stdout
    dataset = read_dataset(tmp_path / "out")
    notes = {each.note.note_id: each for each in dataset.train}
    assert (notes["h0"].gold, notes["h0"].rejected) == (set(), {"tea"})
    assert notes["h1"].gold == {"tea", "coffee"}
    assert [each.note.note_id for each in dataset.test] == ["h18", "h19"]
    assert dataset.tags[1].description == "a drink"


def test_a_cluster_is_read_the_same_way(runner, apache_kafka, jsonl, tmp_path):
    assert runner.invoke(topics, ["create"]).exit_code == 0
    publish_labelled(runner, jsonl)
    result = runner.invoke(app, ["export", str(tmp_path / "out"), "--by-date"])
    assert result.exit_code == 0, result.exception
    dataset = read_dataset(tmp_path / "out")
    assert [len(dataset.split(split)) for split in Split] == [16, 2, 2]
    assert {each.note.note_id for each in dataset.train if each.rejected} == {"h0"}


def test_the_same_topics_give_the_same_files(runner, labelled, tmp_path):
    for name in ("first", "second"):
        assert runner.invoke(app, ["export", str(tmp_path / name), "--test", "0.3"]).exit_code == 0
    for file in (tmp_path / "first").iterdir():
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes()


def test_lines_have_the_shape_that_import_reads_again(runner, labelled, tmp_path):
    assert runner.invoke(app, ["export", str(tmp_path / "out"), "--valid", "0", "--test", "0"]).exit_code == 0
    first = json.loads((tmp_path / "out" / "train.jsonl").read_text().splitlines()[0])
    assert first == {
        "id": "h0",
        "title": "",
        "text": "cup 0",
        "tags": [],
        "rejected": ["tea"],
        "date": "2026-01-01T00:00:00+00:00",
    }
    assert runner.invoke(load, ["tags", str(tmp_path / "out" / "tags.jsonl")]).exit_code == 0


def test_a_directory_with_something_in_it_is_left_alone(runner, labelled, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    error = runner.invoke(app, ["export", str(tmp_path / "out")]).exception
    assert isinstance(error, UserError)
    assert "not empty" in str(error)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["mine"]


def test_topics_without_a_label_leave_nothing_behind(runner, broker, tmp_path):
    error = runner.invoke(app, ["export", str(tmp_path / "out")]).exception
    assert isinstance(error, UserError)
    assert "no note with a tag that people gave it" in str(error)
    assert not list(tmp_path.iterdir())


def test_shares_that_leave_no_train_are_refused(runner, tmp_path):
    error = runner.invoke(app, ["export", str(tmp_path / "out"), "--valid", "0.5", "--test", "0.5"]).exception
    assert isinstance(error, UserError)
    assert "leave nothing for train" in str(error)
