"""Files that commands write: what would fail or destroy an input is refused first, what is written is whole."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamproc.cli import app
from streamproc.cli.outputs import require_new_directory, require_outputs
from streamproc.errors import InputFileError, UserError
from tests.evaluation.worlds import write_hobbies


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("STREAMPROC_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def notes(tmp_path):
    file = tmp_path / "notes.json"
    file.write_text('{"id": "a", "text": "Tea", "tags": ["tea"]}\n')
    return file


def refused(*arguments):
    error = CliRunner().invoke(app, list(map(str, arguments))).exception
    assert isinstance(error, UserError), repr(error)
    return str(error)


@pytest.mark.parametrize(
    "command",
    [
        "demo --once --notes {0} --summary {0}",
        "calibrate confidence --history {0} -o {0}",
        "calibrate precision --history {0} -o {0}",
        "import notes {0} --calibration {0}",
    ],
)
def test_no_command_writes_over_what_it_reads(notes, command):
    before = notes.read_bytes()
    assert "would be overwritten" in refused(*command.format(notes).split())
    assert notes.read_bytes() == before


def test_eval_writes_over_no_file_of_its_dataset(tmp_path):
    dataset = write_hobbies(tmp_path / "hobbies")
    before = (dataset / "test.jsonl").read_bytes()
    assert "would be overwritten" in refused("eval", dataset, "--report", dataset / "test.jsonl")
    assert (dataset / "test.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    "command",
    [
        "tag - -o {0}",
        "demo --once --summary {0}",
        "eval {1} --report {0}/x/y.json",
        "calibrate precision --history {2} -o {0}",
        "calibrate confidence --history {2} -o {0}/x/y.json",
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_the_work(tmp_path, notes, command):
    dataset = write_hobbies(tmp_path / "hobbies")
    assert "cannot be written" in refused(*command.format(tmp_path, dataset, notes).split())
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("command", ["calibrate confidence --history {0}", "calibrate recall {1}"])
def test_a_bundle_is_not_strewn_among_other_files(tmp_path, notes, command):
    dataset = write_hobbies(tmp_path / "hobbies")
    before = sorted(dataset.iterdir())
    asked = command.format(notes, dataset).split()
    assert "not empty and no bundle" in refused(*asked, "-o", dataset)
    assert "is a file" in refused(*asked, "-o", tmp_path / "hobbies" / "tags.jsonl")
    assert sorted(dataset.iterdir()) == before


def test_an_output_of_tag_stays_as_it_is_until_everything_else_is_in_order(tmp_path, notes):
    kept = tmp_path / "kept.jsonl"
    kept.write_text("precious")
    assert "cannot be read" in refused("tag", notes, "--tags", tmp_path / "none", "-o", kept)
    assert kept.read_text() == "precious"


def test_outputs_that_are_apart_are_taken(tmp_path, notes):
    require_outputs(tmp_path / "a", None, tmp_path / "b", inputs=(notes, None))
    with pytest.raises(InputFileError):
        require_outputs(tmp_path / "a", tmp_path / "." / "a")


def test_a_directory_that_could_not_be_put_in_place_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputFileError, match="out cannot be written: Not a directory"):
        require_new_directory(tmp_path / "file" / "deep" / "out")
    with pytest.raises(InputFileError, match="/proc cannot be replaced as a whole"):
        require_new_directory(Path("/proc"))
    require_new_directory(tmp_path / "deep" / "out")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
