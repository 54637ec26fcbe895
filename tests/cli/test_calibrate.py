"""streamproc calibrate: confidences and thresholds from labelled history."""

import tomllib

import msgspec
import orjson
import pytest
from typer.testing import CliRunner

from streamproc.calibration.record import CalibrationRecord, read_record
from streamproc.cli import app
from streamproc.config import load_settings
from streamproc.errors import BundleError, InputFileError, UserError
from streamproc.inference.backend import load_bundle
from streamproc.inference.bundle import Bundle
from streamproc.inference.calibration import Adapted, Gated
from streamproc.inference.calibration_file import map_of
from streamproc.pipeline.local import sample_file
from tests.evaluation.worlds import write_hobbies

SAMPLE = ("--tags", sample_file("tags.jsonl"), "--history", sample_file("history.jsonl"))


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("STREAMPROC_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cli-cache"))


def run(*arguments):
    return CliRunner().invoke(app, ["calibrate", *map(str, arguments)])


@pytest.fixture
def few(tmp_path):
    file = tmp_path / "few.jsonl"
    file.write_text("".join(f'{{"id": "{n}", "text": "Tea {n}", "tags": ["tea"]}}\n' for n in range(20)))
    return file


@pytest.fixture
def dataset(tmp_path):
    """The sample repository as a dataset: of ten notes of its history four are valid, one is test."""
    directory = tmp_path / "sample"
    directory.mkdir()
    rows = sample_file("history.jsonl").read_bytes().splitlines(keepends=True)
    (directory / "tags.jsonl").write_bytes(sample_file("tags.jsonl").read_bytes())
    for split, places in {"valid": {0, 3, 6, 8}, "test": {5}, "train": {1, 2, 4, 7, 9}}.items():
        some = (row for number, row in enumerate(rows) if number % 10 in places)
        (directory / f"{split}.jsonl").write_bytes(b"".join(some))
    return directory


def test_history_alone_gives_a_calibration_file_that_workers_take(tmp_path, monkeypatch):
    file = tmp_path / "calibration.json"
    result = run("confidence", *SAMPLE, "-o", file)
    assert result.exit_code == 0, result.output
    assert "labelled notes" in result.stdout
    assert f"STREAMPROC_CALIBRATION={file}" in result.stderr
    record = read_record(file)
    assert record.after.log_loss < record.before.log_loss
    monkeypatch.setenv("STREAMPROC_CALIBRATION", str(file))
    assert map_of(load_bundle(load_settings())) == record.map


def test_history_alone_gives_a_bundle(tmp_path):
    assert run("confidence", *SAMPLE, "-o", tmp_path / "bundle").exit_code == 0
    fitted = map_of(Bundle.load(tmp_path / "bundle"))
    assert isinstance(fitted, Gated)  # notes that belong to none of the sample tags can be told apart
    assert isinstance(fitted.map, Adapted)


def test_a_dataset_gives_a_map_fitted_to_valid(dataset, tmp_path):
    result = run("confidence", dataset, "-o", tmp_path / "calibration.json")
    assert result.exit_code == 0, result.output
    record = read_record(tmp_path / "calibration.json")
    assert record.notes == len((dataset / "valid.jsonl").read_bytes().splitlines())
    assert run("confidence", dataset, "--leave-one-out", "-o", tmp_path / "other.json").exit_code == 0
    assert read_record(tmp_path / "other.json").notes > record.notes


def test_tags_that_eval_will_take_out_are_taken_out_with_their_notes(tmp_path):
    hobbies = write_hobbies(
        tmp_path / "hobbies"
    )  # two notes of valid for each of six tags: too few, and said so
    error = run("confidence", hobbies, "--hold-out-single", "2", "-o", tmp_path / "x.json").exception
    assert isinstance(error, UserError)
    assert "8 labelled notes are too few" in str(error)


@pytest.mark.parametrize(("named", "said"), [("dataset", "have several tags"), ("history", "name one")])
def test_tags_are_taken_out_of_datasets_with_one_tag_a_note_only(dataset, tmp_path, monkeypatch, named, said):
    monkeypatch.setenv("STREAMPROC_CACHE_DIR", str(tmp_path / "cache"))
    hobbies = write_hobbies(tmp_path / "hobbies")
    which = [hobbies, dataset] if named == "dataset" else SAMPLE
    error = run("confidence", *which, "--hold-out-single", "2", "-o", tmp_path / "x.json").exception
    assert isinstance(error, UserError)
    assert said in str(error)
    assert not (tmp_path / "cache").exists()  # nothing was encoded, not even of the first


def test_confidences_are_fitted_to_the_first_notes_of_a_history(dataset, tmp_path):
    file = tmp_path / "first.json"
    first = ("--leave-one-out", "--first-notes", "60")
    result = run("confidence", dataset, *first, "-o", file)
    assert result.exit_code == 0, result.output
    assert read_record(file).notes == 60
    error = run("confidence", *SAMPLE, "--first-notes", "60", "-o", file).exception
    assert "--first-notes draws from the train of datasets" in str(error)


def test_the_bundle_names_the_dataset_it_was_fitted_to(dataset, tmp_path):
    run("confidence", dataset, "-o", tmp_path / "bundle")
    assert "sample" in Bundle.load(tmp_path / "bundle").manifest.calibrator.training_data


def test_too_few_labelled_notes_are_a_sentence_and_nothing_is_written(few, tmp_path):
    error = run("confidence", "--history", few, "-o", tmp_path / "calibration.json").exception
    assert isinstance(error, UserError)
    assert "20 labelled notes are too few" in str(error)
    assert not (tmp_path / "calibration.json").exists()


@pytest.mark.parametrize("command", ["confidence", "precision"])
def test_without_labelled_notes_it_says_what_to_name(command, tmp_path):
    error = run(command, "-o", tmp_path / "x.json").exception
    assert isinstance(error, UserError)
    assert "--history" in str(error)


def test_datasets_and_files_together_are_refused(dataset, few, tmp_path):
    error = run("confidence", dataset, "--history", few, "-o", tmp_path / "x.json").exception
    assert isinstance(error, UserError)
    assert "not both" in str(error)


def test_a_broken_line_of_the_history_is_named(tmp_path):
    (tmp_path / "history.jsonl").write_text('{"id": "h", "text": 7}\n')
    error = run("confidence", "--history", tmp_path / "history.jsonl", "-o", tmp_path / "x.json").exception
    assert isinstance(error, InputFileError)
    assert "line 1" in str(error)


def test_an_output_that_cannot_be_written_is_refused_first(tmp_path):
    error = run("confidence", *SAMPLE, "-o", tmp_path / "no" / "calibration.json").exception
    assert isinstance(error, InputFileError)


def test_a_calibration_of_other_models_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "calibration.json"
    run("confidence", *SAMPLE, "-o", file)
    record = msgspec.json.decode(file.read_bytes(), type=CalibrationRecord)
    file.write_bytes(msgspec.json.encode(msgspec.structs.replace(record, models="0" * 64)))
    monkeypatch.setenv("STREAMPROC_CALIBRATION", str(file))
    with pytest.raises(BundleError, match="other models"):
        load_bundle(load_settings())


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"models": "x", "map": {"type": "beta", "a": -1, "b": 1, "c": 0}}']
)
def test_a_file_that_is_no_calibration_is_a_sentence(tmp_path, monkeypatch, content):
    file = tmp_path / "calibration.json"
    file.write_bytes(content)
    monkeypatch.setenv("STREAMPROC_CALIBRATION", str(file))
    with pytest.raises(BundleError, match="not a calibration file"):
        load_bundle(load_settings())


def test_a_promised_precision_gives_settings(tmp_path, monkeypatch):
    result = run("precision", *SAMPLE, "--target", "0.8", "-o", tmp_path / "streamproc.toml")
    assert result.exit_code == 0, result.output
    kinds = tomllib.loads((tmp_path / "streamproc.toml").read_text())["kinds"]
    assert all(0.3 < rule["min_confidence"] < 1 for rule in kinds.values())
    assert "tags a note" in result.stderr
    assert "with 95 % confidence" in result.stderr
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    kind = next(iter(kinds))
    assert settings.kinds[kind].min_confidence == kinds[kind]["min_confidence"]


def test_a_higher_promise_emits_less():
    thresholds = []
    for target in ("0.7", "0.85"):
        kinds = tomllib.loads(run("precision", *SAMPLE, "--target", target).stdout)["kinds"]
        thresholds.append(kinds["category"]["min_confidence"])
    assert thresholds[0] < thresholds[1]


def test_a_promise_that_cannot_be_kept_writes_nothing(tmp_path):
    error = run("precision", *SAMPLE, "--target", "0.999", "-o", tmp_path / "x.toml").exception
    assert isinstance(error, UserError)
    assert not (tmp_path / "x.toml").exists()


def test_kinds_with_too_little_to_test_get_no_threshold_and_that_is_said(tmp_path):
    rows = [orjson.loads(line) for line in sample_file("tags.jsonl").read_bytes().splitlines()]
    rows[0]["kind"] = "rarity"
    (tmp_path / "tags.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    result = run(
        "precision",
        "--tags",
        tmp_path / "tags.jsonl",
        "--history",
        sample_file("history.jsonl"),
        "--target",
        "0.8",
    )
    assert "rarity: no threshold" in result.stderr
    assert "rarity" not in tomllib.loads(result.stdout)["kinds"]


def test_review_above_the_target_is_refused():
    error = run("precision", *SAMPLE, "--target", "0.7", "--review", "0.8").exception
    assert isinstance(error, UserError)
