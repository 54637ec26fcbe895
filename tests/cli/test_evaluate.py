"""``streamproc eval``."""

import json
import subprocess
import sys
from importlib.util import find_spec

import msgspec
import pytest

from streamproc.cli import app
from streamproc.cli.bundles import write_bundle
from streamproc.errors import UserError
from streamproc.evaluation.report import Report
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.calibration import Temperature
from streamproc.inference.calibration_file import CalibrationFile, models_digest
from streamproc.inference.digest import sha256_file
from streamproc.inference.manifest import Training, TrainingSet
from tests.evaluation.worlds import ROWS, write_dataset, write_hobbies


@pytest.fixture
def hobbies(tmp_path):
    return write_hobbies(tmp_path / "hobbies")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMPROC_CACHE_DIR", str(tmp_path / "cache"))


def test_the_shipped_bundle_is_measured_and_both_files_are_written(runner, hobbies, tmp_path):
    report, html = tmp_path / "r.json", tmp_path / "r.html"
    options = ["--no-baselines", "--report", str(report), "--html", str(html), "--split", "valid"]
    result = runner.invoke(
        app, ["eval", str(hobbies), *options, "--hold-out-single", "2", "--hold-out-tags", "0.3"]
    )
    assert result.exit_code == 0, result.exception
    read = msgspec.json.decode(report.read_bytes(), type=Report)
    assert (read.dataset, read.split, read.notes, read.tags, read.history) == ("hobbies", "valid", 12, 6, 48)
    assert not read.trained_on
    assert (len(read.new_tags), len(read.out_of_scope), len(read.ablations)) == (2, 1, 0)
    assert html.read_text().startswith("<!doctype html>")
    assert "hobbies, valid: 12 notes, 6 tags" in result.stdout
    assert {file.name for file in tmp_path.iterdir()} == {"hobbies", "cache", "r.json", "r.html"}


@pytest.mark.parametrize("history", [0, 10])
def test_the_first_days_are_measured_on_a_part_of_the_history(runner, hobbies, tmp_path, history):
    report = tmp_path / "r.json"
    options = ["--no-baselines", "--split", "valid", "--first-notes", str(history), "--report", str(report)]
    result = runner.invoke(app, ["eval", str(hobbies), *options])
    assert result.exit_code == 0, result.exception
    read = msgspec.json.decode(report.read_bytes(), type=Report)
    assert (read.history, read.notes, read.single_tag) == (history, 12, True)
    votes = next(row for row in read.ranking if row.method == "neighbour votes")
    assert (votes.precision_1 > 0) == (history > 0)
    assert f"history of {history} notes" in result.stdout


def test_a_history_that_is_too_short_for_a_study_is_said_so(runner, hobbies):
    options = ["--first-notes", "0", "--hold-out-tags", "0.3"]
    result = runner.invoke(app, ["eval", str(hobbies), *options])
    assert isinstance(result.exception, UserError)
    assert str(result.exception) == "no tag has a history that could be held out: measure with a longer one"


def test_omikuji_is_trained_beside_it(runner, hobbies, tmp_path):
    pytest.importorskip("omikuji", reason="the trees need the 'baselines' extra")
    report = tmp_path / "r.json"
    result = runner.invoke(app, ["eval", str(hobbies), "--report", str(report)])
    assert result.exit_code == 0, result.exception
    methods = [row["method"] for row in json.loads(report.read_bytes())["ranking"]]
    assert methods[-3:] == ["omikuji parabel", "omikuji bonsai", "streamproc"]


def test_without_omikuji_its_trees_are_left_out_unless_they_were_asked_for(
    runner, hobbies, tmp_path, monkeypatch
):
    module = sys.modules["streamproc.cli.evaluate"]  # the package's name of it is the command
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "omikuji" else find_spec(name))
    report = tmp_path / "r.json"
    result = runner.invoke(app, ["eval", str(hobbies), "--report", str(report)])
    assert result.exit_code == 0, result.exception
    assert "its trees are left out" in result.stderr
    methods = [row["method"] for row in json.loads(report.read_bytes())["ranking"]]
    assert methods[-1] == "streamproc"
    assert not any("omikuji" in method for method in methods)
    error = runner.invoke(app, ["eval", str(hobbies), "--baselines"]).exception
    assert isinstance(error, UserError)
    assert "pip install '.[baselines]' in streamproc's directory" in str(error)


@pytest.mark.parametrize("history", ["0", "1"])
def test_omikuji_is_untested_where_the_history_is_too_little_for_it_unless_it_was_asked_for(
    runner, hobbies, tmp_path, history
):
    pytest.importorskip("omikuji", reason="the trees need the 'baselines' extra")
    report = tmp_path / "r.json"
    options = ["--first-notes", history, "--split", "valid", "--report", str(report)]
    result = runner.invoke(app, ["eval", str(hobbies), *options])
    assert result.exit_code == 0, result.exception
    why = f"too few words stand in {history} labelled notes"
    assert msgspec.json.decode(report.read_bytes(), type=Report).untested["Omikuji"] == why
    assert f"Omikuji: untested, for {why}" in result.stdout
    error = runner.invoke(app, ["eval", str(hobbies), *options, "--baselines"]).exception
    assert isinstance(error, UserError)
    assert f"--baselines: {why} for Omikuji to learn from" in str(error)


def _evaluated(runner, dataset, file, *options):
    result = runner.invoke(app, ["eval", str(dataset), "--no-baselines", "--report", str(file), *options])
    assert result.exit_code == 0, result.exception
    return msgspec.json.decode(file.read_bytes(), type=Report), result


def test_confidences_are_fitted_to_the_history_as_a_repository_that_imports_it_would_have_them(
    runner, tmp_path, monkeypatch
):
    hobbies = write_hobbies(tmp_path / "hobbies", learned=12)
    fitted, result = _evaluated(runner, hobbies, tmp_path / "fitted.json")
    assert (fitted.fitted_to, fitted.calibration) == (72, "")
    assert "confidences fitted to 72 labelled notes" in result.stderr
    assert "confidences fitted to 72 notes of it" in " ".join(result.stdout.split())
    command = ["calibrate", "confidence", str(hobbies), "--leave-one-out", "-o", str(tmp_path / "map.json")]
    assert runner.invoke(app, command).exit_code == 0
    named, _ = _evaluated(
        runner, hobbies, tmp_path / "named.json", "--calibration", str(tmp_path / "map.json")
    )
    assert named.confidence == fitted.confidence
    monkeypatch.setenv("STREAMPROC_FIT_CONFIDENCES", "off")
    own, _ = _evaluated(runner, hobbies, tmp_path / "own.json")
    assert (own.fitted_to, own.calibration) == (0, "")
    assert own.confidence[0].brier > fitted.confidence[0].brier


def test_what_is_taken_out_of_scope_is_taken_out_of_what_confidences_are_fitted_to(runner, tmp_path):
    hobbies = write_hobbies(tmp_path / "hobbies", learned=14)
    report, _ = _evaluated(runner, hobbies, tmp_path / "r.json", "--hold-out-single", "2")
    assert report.fitted_to == 56


def test_a_history_that_the_models_learned_from_is_not_what_confidences_are_fitted_to(runner, tmp_path):
    hobbies = write_hobbies(tmp_path / "hobbies", learned=12)
    base = Bundle.load(default_bundle_path())
    tagger = msgspec.structs.replace(base.manifest.tagger, training_data=("hobbies",))
    write_bundle(base, tmp_path / "bundle", msgspec.structs.replace(base.manifest, tagger=tagger))
    report, result = _evaluated(runner, hobbies, tmp_path / "r.json", "--bundle", str(tmp_path / "bundle"))
    assert (report.trained_on, report.fitted_to) == (True, 0)
    assert "Fit to valid with streamproc calibrate confidence" in " ".join(result.stderr.split())


def test_a_set_is_known_again_under_another_name_and_fitting_is_told_from_training(runner, hobbies, tmp_path):
    def reported(name, **changes):
        base = Bundle.load(default_bundle_path())
        write_bundle(base, tmp_path / name, msgspec.structs.replace(base.manifest, **changes))
        options = ["--bundle", str(tmp_path / name), "--html", str(tmp_path / "r.html")]
        report, result = _evaluated(runner, hobbies, tmp_path / "r.json", *options)
        return report, " ".join(result.stdout.split()), (tmp_path / "r.html").read_text()

    learnt = TrainingSet("elsewhere", "", "", {"train.jsonl": sha256_file(hobbies / "train.jsonl")})
    report, said, html = reported("trained", training=Training((learnt,), 10, 0))
    assert (report.trained_on, report.calibrated_on) == (True, False)
    assert "models were trained on this set" in said
    assert "seen in training" in html
    recall = msgspec.structs.replace(
        Bundle.load(default_bundle_path()).manifest.recall, fitted_on=("hobbies",)
    )
    report, said, html = reported("fitted", recall=recall)
    assert (report.trained_on, report.calibrated_on) == (False, True)
    assert "models never saw this set; its recall or confidences were fitted to it" in said
    assert "seen in calibration" in html


def test_a_map_that_was_fitted_to_the_set_stays(runner, tmp_path):
    hobbies, bundle = write_hobbies(tmp_path / "hobbies", learned=60), tmp_path / "bundle"
    command = ["calibrate", "confidence", str(hobbies), "--leave-one-out", "-o", str(bundle)]
    assert runner.invoke(app, command).exit_code == 0
    report, result = _evaluated(runner, hobbies, tmp_path / "r.json", "--bundle", str(bundle))
    assert (report.trained_on, report.fitted_to) == (False, 0)
    assert "its map was fitted to this set" in result.stderr


def test_a_calibration_file_takes_the_place_of_the_bundle_s_map(runner, hobbies, tmp_path):
    base = Bundle.load(default_bundle_path())
    flat = CalibrationFile(models_digest(base), Temperature(1000.0))
    (tmp_path / "flat.json").write_bytes(msgspec.json.encode(flat))
    options = [
        "--no-baselines",
        "--report",
        str(tmp_path / "r.json"),
        "--calibration",
        str(tmp_path / "flat.json"),
    ]
    result = runner.invoke(app, ["eval", str(hobbies), *options])
    assert result.exit_code == 0, result.exception
    report = msgspec.json.decode((tmp_path / "r.json").read_bytes(), type=Report)
    assert report.calibration == "flat.json"
    assert report.confidence[0].mean_confidence == pytest.approx(0.5, abs=0.01)


def test_a_line_that_cannot_be_used_ends_it_before_anything_is_written(hobbies, tmp_path):
    with (hobbies / "test.jsonl").open("a") as file:
        file.write('{"id": "x", "text": "a", "tags": ["nobody knows"]}\n')
    command = [
        sys.executable,
        "-c",
        "from streamproc.cli import main; main()",
        "eval",
        str(hobbies),
        "--report",
        str(tmp_path / "r.json"),
    ]
    command.append("--no-baselines")
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    (sentence,) = ended.stderr.splitlines()
    assert sentence.startswith("error: ")
    assert "test.jsonl, line 25: \"tags\" has 'nobody knows', which tags.jsonl does not know" in sentence
    assert {file.name for file in tmp_path.iterdir()} == {"hobbies"}


@pytest.mark.parametrize("command", ["calibrate recall", "calibrate confidence"])
def test_other_readers_of_datasets_write_nothing_either(runner, hobbies, tmp_path, command):
    (hobbies / "valid.jsonl").write_text("{\n")
    error = runner.invoke(app, [*command.split(), str(hobbies), "-o", str(tmp_path / "out")]).exception
    assert isinstance(error, UserError)
    assert "valid.jsonl, line 1: not JSON" in str(error)
    assert not (tmp_path / "out").exists()


def test_a_file_that_cannot_be_written_is_told_before_the_work(runner, hobbies, tmp_path):
    error = runner.invoke(app, ["eval", str(hobbies), "--html", str(tmp_path / "no" / "r.html")]).exception
    assert isinstance(error, UserError)
    assert "is not a directory" in str(error)


def test_only_valid_and_test_are_scored(runner, hobbies):
    error = runner.invoke(app, ["eval", str(hobbies), "--split", "train"]).exception
    assert isinstance(error, UserError)
    assert "use valid or test" in str(error)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--hold-out-single 6", "6 of 6 tags cannot be taken out"),
        ("--hold-out-single 1 --seed 1", "leave nothing to compare"),
        ("--hold-out-tags 0.1 --seed 1", "none of the 1 tags held out belongs to a note that is scored"),
    ],
)
def test_a_study_that_cannot_be_made_on_the_set_is_refused_before_anything_is_encoded(
    runner, hobbies, tmp_path, options, sentence
):
    lines = (hobbies / "test.jsonl").read_text().splitlines(keepends=True)
    (hobbies / "test.jsonl").write_text("".join(line for line in lines if "baking" in line))
    error = runner.invoke(app, ["eval", str(hobbies), "--no-baselines", *options.split()]).exception
    assert isinstance(error, UserError)
    assert sentence in str(error)
    assert not (tmp_path / "cache").exists()


def test_notes_of_several_tags_are_refused_for_the_study_of_single_ones_before_anything_is_encoded(
    runner, tmp_path
):
    several = write_dataset(tmp_path / "several")
    error = runner.invoke(app, ["eval", str(several), "--no-baselines", "--hold-out-single", "1"]).exception
    assert isinstance(error, UserError)
    assert "notes of several have several tags" in str(error)
    assert not (tmp_path / "cache").exists()


def test_a_split_without_a_scored_note_is_refused_before_anything_is_encoded(runner, tmp_path):
    test = [{"id": "e1", "text": "milk", "tags": [], "rejected": ["tea"]}]
    bare = write_dataset(tmp_path / "bare", {**ROWS, "test": test})
    error = runner.invoke(app, ["eval", str(bare), "--no-baselines"]).exception
    assert isinstance(error, UserError)
    assert "there is nothing to measure" in str(error)
    assert not (tmp_path / "cache").exists()


def test_one_file_cannot_be_both_report_and_page(runner, hobbies, tmp_path):
    both = str(tmp_path / "r")
    error = runner.invoke(app, ["eval", str(hobbies), "--report", both, "--html", both]).exception
    assert isinstance(error, UserError)
    assert "would be overwritten" in str(error)
