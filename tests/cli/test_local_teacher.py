"""``streamproc distill --local``: a bundle in place of an endpoint."""

import shutil

import msgspec
import pytest
from typer.testing import CliRunner

from streamproc.cli import app
from streamproc.errors import UserError
from streamproc.inference.bundle import default_bundle_path, write_manifest
from streamproc.inference.manifest import Fold
from streamproc.training.teacher_labels import TeacherLabels
from tests.cli.small_dataset import NOTES, TAGS, dataset
from tests.inference.marker_model import with_marker_tagger

__all__ = ["dataset"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A bundle whose tagger reads the text."""
    return with_marker_tagger(
        shutil.copytree(default_bundle_path(), tmp_path_factory.mktemp("bundles") / "any")
    )


@pytest.fixture
def reader(made):
    """The bundle's directory, its tagger trained on other data; the manifest is put back after each test."""
    write_manifest(made.path, made.manifest)
    return made.path


def trained_on_samples(reader, made, held_out):
    tagger = msgspec.structs.replace(made.manifest.tagger, training_data=("samples",), held_out=held_out)
    write_manifest(reader, msgspec.structs.replace(made.manifest, tagger=tagger))


@pytest.fixture
def distill(dataset, reader, tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMPROC_CACHE_DIR", str(tmp_path / "cache"))
    output = tmp_path / "labels.jsonl"

    def run(*options, local=reader):
        command = ["distill", str(dataset), "-o", str(output), *options]
        result = CliRunner().invoke(app, [*command, "--local", str(local)] if local else command)
        return result, output

    return run


def assert_refused(result, output, *words):
    assert isinstance(result.exception, UserError), result.output
    for word in words:
        assert word in str(result.exception)
    assert not output.exists()


def test_every_note_gets_a_probability_of_every_candidate(distill, made):
    result, output = distill()
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    labels = TeacherLabels.read(output)
    assert len(labels) == NOTES
    assert set(labels.of("t0")) == set(labels.of("t1")) == set(TAGS)
    assert labels.teachers == (
        f"{made.manifest.name}-{made.manifest.version}, tagger {made.manifest.tagger.version}",
    )
    assert f"{NOTES} notes labelled by {labels.teachers[0]}" in result.stderr


def test_notes_that_the_teacher_was_trained_on_are_not_labelled(distill, reader, made):
    part = Fold(1, 2)
    trained_on_samples(reader, made, part)
    _, output = distill()
    labels = TeacherLabels.read(output)
    held_out = {note_id for note_id in (f"t{number}" for number in range(NOTES)) if part.holds(note_id)}
    assert 0 < len(held_out) < NOTES
    assert {f"t{number}" for number in range(NOTES) if f"t{number}" in labels} == held_out


def test_two_teachers_label_all_notes_between_them(distill, reader, made, tmp_path):
    both = tmp_path / "both.jsonl"
    for part in (Fold(1, 2), Fold(2, 2)):
        trained_on_samples(reader, made, part)
        _, output = distill()
        with both.open("ab") as file:
            file.write(output.read_bytes())
    assert len(TeacherLabels.read(both)) == NOTES


def test_a_teacher_that_has_seen_all_notes_labels_none(distill, reader, made):
    trained_on_samples(reader, made, None)
    assert_refused(*distill(), "was trained on all of samples's train", "--hold-out")


def test_valid_may_be_labelled_by_a_teacher_that_has_seen_all_of_train(distill, reader, made):
    trained_on_samples(reader, made, None)
    _, output = distill("--split", "valid")
    assert set(TeacherLabels.read(output).of("v")) == set(TAGS)


def test_fewer_notes_and_candidates_may_be_labelled(distill):
    _, output = distill("--notes", "2", "--candidates", "1")
    labels = TeacherLabels.read(output)
    assert len(labels) == 2
    assert {len(labels.of(f"t{number}")) for number in range(NOTES)} == {0, 1}


def test_a_bundle_whose_tagger_reads_no_text_is_refused(distill):
    assert_refused(*distill(local=default_bundle_path()), "no more than who would learn", "--read-text")


@pytest.mark.parametrize("option", [("--images",), ("--url", "https://host/v1"), ("--bundle", "other")])
def test_what_is_meant_for_an_endpoint_is_refused(distill, option):
    assert_refused(*distill(*option), f"{option[0]} and --local do not go together")


@pytest.mark.parametrize("options", [(), ("--url", "https://host/v1"), ("--model", "tiny")])
def test_a_teacher_must_be_named(distill, options):
    assert_refused(*distill(*options, local=None), "--url and --model of an endpoint, or --local BUNDLE")
