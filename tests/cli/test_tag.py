"""streamproc tag, as a user calls it."""

import fcntl

import orjson
import pytest
from typer.testing import CliRunner

from streamproc.cli import app
from streamproc.errors import InputFileError, SettingsError
from streamproc.pipeline.local import sample_file

NOTES = (
    b'{"id": "a", "title": "Sourdough is sluggish", "text": "The starter barely rises since it got cold."}\n'
    b'{"id": "b", "title": ""}\n'
    b"\n"
    b"not json\n"
    b'{"id": "c", "text": "Which rucksack fits under the seat of a small plane?", "mood": "curious"}\n'
)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("STREAMPROC_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cli-cache"))


@pytest.fixture
def notes(tmp_path):
    path = tmp_path / "notes.jsonl"
    path.write_bytes(NOTES)
    return path


def run(*arguments, data=None):
    return CliRunner().invoke(app, ["tag", *map(str, arguments)], input=data)


def lines(text):
    return [orjson.loads(line) for line in text.splitlines()]


def test_outcomes_come_out_in_the_order_of_the_input_and_rejected_lines_are_named(notes):
    result = run(notes)
    assert result.exit_code == 1
    assert [line["note_id"] for line in lines(result.stdout)] == ["a", "c"]
    assert "line 2" in result.stderr
    assert "line 4" in result.stderr
    assert "not JSON" in result.stderr
    assert "2 of 4 lines could not be used; the rest came out" in result.stderr


def test_where_no_line_can_be_used_it_is_not_said_that_the_rest_came_out():
    result = run("-", data=b"not json\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith(
        "1 of 1 lines could not be used; nothing came out: a file of notes has one JSON object a line\n"
    )


@pytest.mark.parametrize("option", [("--min-confidence", "1.5"), ("--max-tags", "0")])
def test_a_number_beyond_its_limits_is_refused_by_the_name_of_its_option(option):
    result = run("-", *option, data=b"")
    assert result.exit_code == 2
    assert f"Invalid value for '{option[0]}'" in result.stderr


def test_rejected_lines_are_kept_unchanged(notes, tmp_path):
    run(notes, "--dead", tmp_path / "dead.jsonl", "-o", tmp_path / "out.jsonl")
    assert (tmp_path / "dead.jsonl").read_bytes() == b'{"id": "b", "title": ""}\nnot json\n'
    assert len(lines((tmp_path / "out.jsonl").read_text())) == 2


def test_notes_in_a_language_that_is_not_read_are_counted_with_what_a_language_is():
    data = b'{"id": "a", "text": "Tea", "language": "English"}\n{"id": "b", "text": "Tea", "language": "en-GB"}\n'
    result = run("-", data=data)
    assert result.exit_code == 0
    assert [line["outcome"] for line in lines(result.stdout)] == ["unsupported_language", "tagged"]
    assert "1 notes name a language that the models do not read" in result.stderr
    assert "do not read" not in run("-", data=b'{"id": "b", "text": "Tea", "language": "en"}\n').stderr


def test_a_file_without_rejected_lines_ends_with_status_0():
    result = run("-", data=b'{"id": "a", "title": "Sourdough is sluggish"}\n')
    assert result.exit_code == 0
    assert lines(result.stdout)[0]["outcome"] == "tagged"


def test_confidence_0_ranks_all_candidates_and_the_number_can_be_bounded():
    data = b'{"id": "a", "title": "Sourdough is sluggish"}\n'
    everything = lines(run("-", "--min-confidence", "0", "--max-tags", "100", data=data).stdout)[0]["tags"]
    few = lines(run("-", "--min-confidence", "0", "--max-tags", "3", data=data).stdout)[0]["tags"]
    assert len(everything) > 10
    assert [tag["tag_id"] for tag in few] == [tag["tag_id"] for tag in everything[:3]]


def test_own_tags_and_history_replace_the_sample_repository(tmp_path):
    (tmp_path / "tags.jsonl").write_text('{"tag": "Gardening"}\n{"tag": "Sailing"}\n')
    (tmp_path / "history.jsonl").write_text(
        "".join(
            f'{{"id": "h{number}", "text": "{text}", "tags": ["{tag}"]}}\n'
            for number, (text, tag) in enumerate(
                [("Tomatoes in raised beds.", "Gardening"), ("Pruning roses in March.", "Gardening")] * 5
                + [("Reefing the mainsail in a squall.", "Sailing")] * 5
            )
        )
    )
    result = run(
        "-",
        "--tags",
        tmp_path / "tags.jsonl",
        "--history",
        tmp_path / "history.jsonl",
        "--min-confidence",
        "0",
        data=b'{"id": "a", "text": "When do I plant out the tomatoes?"}\n',
    )
    assert lines(result.stdout)[0]["tags"][0]["tag_id"] == "Gardening"


def test_history_alone_brings_its_own_tags(tmp_path):
    (tmp_path / "history.jsonl").write_text(
        '{"id": "h", "text": "Tomatoes in raised beds.", "tags": ["Gardening"]}\n'
    )
    result = run(
        "-",
        "--history",
        tmp_path / "history.jsonl",
        "--min-confidence",
        "0",
        data=b'{"id": "a", "text": "Tomatoes"}\n',
    )
    assert [tag["tag_id"] for tag in lines(result.stdout)[0]["tags"]] == ["Gardening"]


def test_the_graph_stays_as_it_is_unless_told_to_learn(tmp_path):
    (tmp_path / "history.jsonl").write_text(
        '{"id": "h", "text": "Tomatoes in raised beds.", "tags": ["Gardening"]}\n'
    )
    note = b'{"id": "first", "text": "Tomatoes on the balcony", "tags": ["Gardening"]}\n'
    asked = b'{"id": "second", "text": "Tomatoes on my balcony"}\n'
    history = ("--history", tmp_path / "history.jsonl", "--min-confidence", "0")

    def neighbours():
        tag = lines(run("-", *history, data=asked).stdout)[0]["tags"][0]
        return {each["note_id"] for each in tag["evidence"]["neighbours"]}

    run("-", *history, data=note)
    assert neighbours() == {"h"}
    run("-", *history, "--learn", data=note)
    assert neighbours() == {"h", "first"}


def test_confidences_are_fitted_to_the_history_and_that_is_said(tmp_path, monkeypatch):
    data = b'{"id": "a", "title": "Sourdough is sluggish"}\n'
    fitted = run("-", data=data)
    assert "confidences fitted to 496 labelled notes" in fitted.stderr
    assert run("-", data=data).stderr == fitted.stderr  # from the cache
    monkeypatch.setenv("STREAMPROC_FIT_CONFIDENCES", "off")
    left = run("-", data=data)
    assert "STREAMPROC_FIT_CONFIDENCES is off" in left.stderr
    versions = [lines(result.stdout)[0]["models"]["calibrator"] for result in (fitted, left)]
    assert versions[0] != versions[1]
    assert versions[0].partition("+")[0] == versions[1].partition("+")[0]


def test_few_labelled_notes_leave_the_bundles_confidences(tmp_path):
    (tmp_path / "history.jsonl").write_text('{"id": "h", "text": "Tomatoes.", "tags": ["Gardening"]}\n')
    result = run("-", "--history", tmp_path / "history.jsonl", data=b'{"id": "a", "text": "Tomatoes"}\n')
    assert "1 labelled notes are too few" in result.stderr


def test_learning_into_a_server_is_refused(monkeypatch):
    monkeypatch.setenv("STREAMPROC_MILVUS_URI", "http://127.0.0.1:1")
    assert isinstance(run("-", "--learn", data=b"").exception, SettingsError)


def test_while_a_run_learns_no_other_reads_the_graph_of_its_files(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMPROC_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "tags.jsonl").write_text('{"tag": "Tea"}\n')
    files = ("-", "--tags", tmp_path / "tags.jsonl")
    assert run(*files, "--learn", data=b"").exit_code == 0
    (lock,) = (tmp_path / "cache").rglob("LOCK")
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        errors = [run(*files, *also, data=b"").exception for also in (["--learn"], [])]
    assert all(isinstance(error, InputFileError) for error in errors)
    assert all("wait until it has ended" in str(error) for error in errors)
    assert run(*files, data=b"").exit_code == 0


def test_runs_that_learn_nothing_share_the_graph_of_their_files(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMPROC_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "tags.jsonl").write_text('{"tag": "Tea"}\n')
    files = ("-", "--tags", tmp_path / "tags.jsonl")
    assert run(*files, data=b"").exit_code == 0
    (lock,) = (each for each in (tmp_path / "cache").rglob("LOCK"))
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)  # as another does while it copies
        assert run(*files, data=b"").exit_code == 0


@pytest.mark.parametrize("option", ["--tags", "--history"])
def test_a_missing_file_is_a_sentence(tmp_path, option):
    error = run("-", option, tmp_path / "none.jsonl", data=b"").exception
    assert isinstance(error, InputFileError)
    assert "none.jsonl" in str(error)


@pytest.mark.parametrize("option", ["-o", "--dead"])
def test_a_file_that_is_read_is_never_overwritten(notes, tmp_path, option):
    same = tmp_path / "sub" / ".." / "notes.jsonl"
    (tmp_path / "sub").mkdir()
    error = run(notes, option, same).exception
    assert isinstance(error, InputFileError)
    assert "overwritten" in str(error)
    error = run("-", "--tags", notes, option, same, data=b"").exception
    assert isinstance(error, InputFileError)
    assert notes.read_bytes() == NOTES


def test_results_and_rejected_lines_do_not_share_a_file(notes, tmp_path):
    error = run(notes, "-o", tmp_path / "out.jsonl", "--dead", tmp_path / "out.jsonl").exception
    assert isinstance(error, InputFileError)
    assert not (tmp_path / "out.jsonl").exists()
    assert run(notes, "-o", "/dev/null", "--dead", "/dev/null").exit_code == 1


def test_labels_that_name_no_tag_are_told(tmp_path):
    (tmp_path / "tags.jsonl").write_text('{"tag": "Gardening"}\n{"tag_id": "t1", "name": "Sailing"}\n')
    history = tmp_path / "history.jsonl"
    history.write_text('{"id": "h", "text": "Tomatoes.", "tags": ["Gardening", "gardening", "Sailing"]}\n')
    asked = ("-", "--tags", tmp_path / "tags.jsonl", "--history", history)
    note = b'{"id": "a", "text": "Tomatoes"}\n'
    assert (
        "2 of 3 labels in the history name no active tag of the repository" in run(*asked, data=note).stderr
    )
    history.write_text('{"id": "h", "text": "Tomatoes.", "tags": ["Gardening", "t1"]}\n')
    assert "name no tag" not in run(*asked, data=note).stderr


@pytest.mark.parametrize(("option", "line"), [("--tags", ""), ("--history", '{"id": "h", "text": "Tea"}')])
def test_a_repository_without_any_tag_is_refused(tmp_path, option, line):
    (tmp_path / "few.jsonl").write_text(line)
    error = run("-", option, tmp_path / "few.jsonl", data=b"").exception
    assert isinstance(error, InputFileError)
    assert "few.jsonl names no tag" in str(error)


def test_a_broken_line_of_the_history_is_named(tmp_path):
    (tmp_path / "history.jsonl").write_text('{"id": "h", "text": 7}\n')
    error = run("-", "--history", tmp_path / "history.jsonl", data=b"").exception
    assert isinstance(error, InputFileError)
    assert "line 1" in str(error)


def test_the_sample_notes_are_tagged_from_a_file():
    result = run(sample_file("notes.jsonl"))
    assert result.exit_code == 0
    assert len(lines(result.stdout)) == len(sample_file("notes.jsonl").read_bytes().splitlines())
