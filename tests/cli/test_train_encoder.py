"""``streamproc train encoder``: what is wrong is said before anything is trained or written."""

import importlib.util

import pytest

from streamproc.cli import app
from streamproc.errors import InputFileError, UserError
from tests.evaluation.worlds import write_dataset

WITHOUT_TORCH = importlib.util.find_spec("torch") is None


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "drinks")


def refused(runner, *arguments):
    result = runner.invoke(app, ["train", "encoder", *map(str, arguments)])
    assert isinstance(result.exception, UserError), result.exception
    return result.exception


def left(tmp_path):
    return sorted(each.name for each in tmp_path.iterdir() if each.name.startswith("out"))


@pytest.mark.skipif(not WITHOUT_TORCH, reason="the extra 'train' is installed: nothing is missing")
def test_without_the_extra_one_sentence_says_how_to_get_it(runner, dataset, tmp_path):
    said = str(refused(runner, dataset, "-o", tmp_path / "out"))
    assert "pip install '.[train]' in streamproc's directory" in said
    assert "\n" not in said
    assert left(tmp_path) == []


def test_a_directory_that_holds_something_is_not_written_over(runner, dataset, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text("mine")
    assert "not empty" in str(refused(runner, dataset, "-o", tmp_path / "out"))
    assert (tmp_path / "out" / "manifest.json").read_text() == "mine"


def test_a_missing_dataset_is_named(runner, tmp_path):
    error = refused(runner, tmp_path / "nowhere", "-o", tmp_path / "out")
    assert isinstance(error, InputFileError)
    assert "nowhere" in str(error)
    assert left(tmp_path) == []


def test_a_broken_line_of_pairs_is_named(runner, dataset, tmp_path):
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"a": "t1", "b": "t2"}\n{"a": "t1"}\n')
    assert f"{pairs}, line 2" in str(refused(runner, dataset, "-o", tmp_path / "out", "--pairs", pairs))


def test_pairs_of_other_notes_than_the_datasets_are_refused(runner, dataset, tmp_path):
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"a": "x", "b": "y"}\n')
    assert "drinks" in str(refused(runner, dataset, "-o", tmp_path / "out", "--pairs", pairs))


def test_a_directory_that_is_no_encoder_is_refused_as_a_base(runner, dataset, tmp_path):
    (tmp_path / "base").mkdir()
    said = str(refused(runner, dataset, "-o", tmp_path / "out", "--base", tmp_path / "base"))
    assert said.startswith(f"{tmp_path / 'base' / 'config.json'} is missing")
    assert left(tmp_path) == []


def test_a_teachers_weight_without_a_teacher_and_a_teacher_without_lessons_are_refused(
    runner, dataset, tmp_path
):
    assert "--teacher" in str(refused(runner, dataset, "-o", tmp_path / "out", "--beta", "2"))
    said = refused(runner, dataset, "-o", tmp_path / "out", "--teacher", tmp_path, "--epochs", "0")
    assert "leave --teacher out" in str(said)
    assert left(tmp_path) == []


def test_a_directory_that_is_no_bundle_is_refused_as_a_teacher(runner, dataset, tmp_path):
    said = str(refused(runner, dataset, "-o", tmp_path / "out", "--teacher", tmp_path / "nowhere"))
    assert str(tmp_path / "nowhere") in said
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--learning-rate", "1"),
        ("--alpha", "-1"),
        ("--beta", "-1"),
        ("--epochs", "-1"),
        ("--notes", "1"),
        ("--alpha", "much"),
    ],
)
def test_an_impossible_number_is_refused(runner, dataset, tmp_path, arguments):
    result = runner.invoke(app, ["train", "encoder", str(dataset), "-o", str(tmp_path / "out"), *arguments])
    assert result.exit_code == 2
    assert arguments[0] in result.output


@pytest.mark.parametrize("option", ["--name", "--version"])
def test_a_bundle_without_a_name_is_refused(runner, dataset, tmp_path, option):
    assert f"{option} is ''" in str(refused(runner, dataset, "-o", tmp_path / "out", option, ""))


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_read(runner, tmp_path):
    (tmp_path / "file").write_text("")
    said = str(refused(runner, tmp_path / "nowhere", "-o", tmp_path / "file" / "out"))
    assert said == f"{tmp_path / 'file' / 'out'} cannot be written: Not a directory"
