"""Benchmarks of datasets run from beginning to end, on six hobbies and with the shipped bundle."""

import json

import numpy as np
import pytest

from benchmarks import calibration, judged_history, recall_quality, related_notes
from streamproc.evaluation.dataset import Split, read_dataset
from streamproc.evaluation.prepared import prepare
from streamproc.evaluation.vectors import VectorCache
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.onnx import load_encoder
from tests.evaluation.worlds import HOBBIES, write_hobbies

SHIPPED = Bundle.load(default_bundle_path())


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where vectors are kept: not in the cache of whoever runs the tests."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def root(home, monkeypatch):
    monkeypatch.setenv("HOME", str(home))
    write_hobbies(home / "hobbies")
    return home


def test_confidences_are_measured_before_and_after_they_are_fitted(root, capsys):
    calibration.main(root, Split.TEST, ["hobbies"], SHIPPED, most=12, history=30)
    [line] = capsys.readouterr().out.splitlines()
    said = json.loads(line)
    assert (said["dataset"], said["split"], said["fitted_to"], said["notes"]) == ("hobbies", "test", 30, 12)
    # 30 notes are too few to fit a map to: the bundle's stays in force.
    assert said["form"] == ""
    assert said["before"] == said["after"]
    assert 0 <= said["after"]["ece"] <= 1


def test_recall_is_told_path_by_path(root, capsys):
    recall_quality.main(root, Split.TEST, ["hobbies"])
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 7
    assert all(row.startswith("hobbies ") for row in rows)
    # Six tags, 20 places: matching finds all of them.
    assert rows[0].split()[-4:] == ["1.000", "1.000", "0.000", "0.000"]


def test_related_notes_are_told_encoder_by_encoder(root, capsys):
    related_notes.main([root / "hobbies"], [SHIPPED.path], Split.TEST)
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 3
    assert rows[1] == rows[2]
    assert rows[1].split()[:2] == ["hobbies", f"general-{SHIPPED.manifest.version}"]
    found, attainable = (float(figure) for figure in rows[1].split()[2:4])
    assert len(HOBBIES) / 48 < found <= attainable <= 1


def test_judgements_are_measured_beside_no_labels_and_imported_ones(root, capsys):
    judged_history.main([root / "hobbies"], Split.TEST)
    _, *rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 4
    assert all(row.startswith("hobbies ") and 0 < float(row.split()[-1]) <= 1 for row in rows)


def test_half_of_the_history_loses_its_labels_until_people_judge_it(root):
    prepared = prepare(
        read_dataset(root / "hobbies"), VectorCache(load_encoder(SHIPPED), "shipped", root / "vectors")
    )
    nowhere = np.zeros((1, 384), dtype=np.float32)
    labelled = [
        each.graph.nearest(nowhere, tags=1, notes=1)[0].likeness.discriminant.notes
        for _, each in judged_history.histories(prepared)
    ]
    assert labelled == [24, 24, 48, 48]
