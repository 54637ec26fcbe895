"""What a teacher is worth to its students, on a dataset of six hobbies and with bundles of the shipped models."""

import re
import sys

import numpy as np
import onnx
import pytest

from benchmarks.distillation import Notes, main
from streamproc.errors import UserError
from streamproc.evaluation.dataset import Split
from streamproc.inference.bundle import Bundle, default_bundle_path, write_manifest
from tests.bundles import bundle_with_another_encoder, next_bundle
from tests.evaluation.worlds import HOBBIES, write_hobbies

SHIPPED = Bundle.load(default_bundle_path())
LABELLED = len(HOBBIES) * 4
"""Notes of the test split; each has one tag."""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Vectors are kept in a cache of the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def hobbies(tmp_path):
    directory = write_hobbies(tmp_path / "hobbies")
    with (directory / "test.jsonl").open("a") as file:
        file.write('{"id": "unlabelled", "text": "nothing in particular", "rejected": ["chess"]}\n')
    return directory


@pytest.fixture
def contrary(tmp_path):
    """A student that is the surer of a candidate the less the shipped models are."""
    bundle = next_bundle(tmp_path / "contrary")
    file = bundle.file(bundle.manifest.calibrator.file)
    model = onnx.load(file)
    [output] = model.graph.output
    for node in model.graph.node:
        node.output[:] = ["before" if name == output.name else name for name in node.output]
    model.graph.node.append(onnx.helper.make_node("Neg", ["before"], [output.name]))
    file.unlink()  # a link to the shipped one
    onnx.save(model, file)
    return Bundle(bundle.path, write_manifest(bundle.path, bundle.manifest))


def test_all_bundles_are_asked_about_the_same_labelled_notes(hobbies):
    drawn = [Notes(hobbies, Split.TEST, 10, SHIPPED) for _ in range(2)]
    names = [[each.note.note_id for each in one.notes] for one in drawn]
    assert names[0] == names[1]
    assert len(names[0]) == len(drawn[0].recalled) == 10
    everything = [each.note.note_id for each in Notes(hobbies, Split.TEST, None, SHIPPED).notes]
    assert len(everything) == LABELLED
    assert "unlabelled" not in everything
    assert names[0] == [name for name in everything if name in names[0]]


def test_a_bundle_is_ranked_by_the_confidences_that_it_serves(hobbies, contrary):
    notes = Notes(hobbies, Split.TEST, None, SHIPPED)
    first, ndcg = notes.ranked_by(SHIPPED)
    assert first.shape == ndcg.shape == (LABELLED,)
    assert set(first) <= {0.0, 1.0}
    assert np.all(ndcg >= first)  # one right tag a note: in the first place it is worth all
    assert first.mean() > 0.5
    assert notes.ranked_by(contrary)[0].mean() < first.mean() - 0.3


def test_a_bundle_that_recalls_otherwise_is_refused(hobbies, tmp_path):
    notes = Notes(hobbies, Split.TEST, 5, SHIPPED)
    with pytest.raises(UserError, match="start from the same bundle"):
        notes.ranked_by(bundle_with_another_encoder(tmp_path / "other"))


def test_the_command_shows_each_bundle_and_what_the_teacher_brought(
    hobbies, contrary, tmp_path, monkeypatch, capsys
):
    alike = next_bundle(tmp_path / "alike").path
    options = ["--notes", "12", "--teacher", SHIPPED.path, "--alone", contrary.path, "--taught", alike]
    monkeypatch.setattr(sys, "argv", ["x", str(hobbies), "test", *map(str, options)])
    main()
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["12 notes of test", "bundle P@1 nDCG@5"]
    names, first, ndcg = zip(*(line.split() for line in said[2:-2]), strict=True)
    assert names == ("contrary", "alike", "general")
    assert first[1] == first[2]
    for line, name, figures in zip(said[-2:], ("P@1", "nDCG@5"), (first, ndcg), strict=True):
        gain = float(figures[1]) - float(figures[0])
        shown = re.fullmatch(rf"{name}: taught − alone (\S+) \((\S+) to (\S+)\)", line)
        assert float(shown[1]) == pytest.approx(gain, abs=2e-4)
        assert 0 < float(shown[2]) <= float(shown[1]) <= float(shown[3])


def test_a_teacher_may_have_an_encoder_of_its_own(hobbies, tmp_path, monkeypatch, capsys):
    students = [next_bundle(tmp_path / name).path for name in ("alone", "taught")]
    teacher = bundle_with_another_encoder(tmp_path / "larger").path
    options = ["--notes", "5", "--teacher", teacher, "--alone", students[0], "--taught", students[1]]
    monkeypatch.setattr(sys, "argv", ["x", str(hobbies), "test", *map(str, options)])
    main()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:5]] == [
        "alone",
        "taught",
        "larger",
    ]
