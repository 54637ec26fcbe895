import pytest

from streamproc.evaluation.dataset import Split, read_dataset
from streamproc.evaluation.prepared import prepare
from streamproc.evaluation.protocol import evaluate
from streamproc.evaluation.vectors import VectorCache
from streamproc.graph.thresholds import FITTED
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.onnx import load_models
from tests.evaluation.worlds import WordEncoder, write_dataset


class Contrary:
    """Gives the last candidate of each note."""

    name = "contrary"

    def rank(self, notes, recalled):
        return [[found.tags[-1].tag_id] for found in recalled]


@pytest.fixture
def report(tmp_path):
    dataset = read_dataset(write_dataset(tmp_path / "drinks"))
    prepared = prepare(dataset, VectorCache(WordEncoder(), "words", tmp_path / "vectors"))
    models = load_models(Bundle.load(default_bundle_path()), threads=1)
    return evaluate(
        prepared, models, FITTED, bundle="b", split=Split.TEST, trees=(), extra_rankers=(Contrary(),)
    )


def test_only_notes_with_a_tag_of_the_repository_are_scored(report):
    assert (report.notes, report.tags, report.history) == (2, 3, 4)


def test_recall_and_ranking_stand_beside_their_baselines(report):
    assert [row.method for row in report.recall] == [
        "matching",
        "neighbour votes",
        "paper's constants",
        "streamproc",
    ]
    assert report.recall[-1].right == 1
    assert [row.method for row in report.ranking] == ["matching", "neighbour votes", "contrary", "streamproc"]
    assert report.ranking[-1].precision_1 == 1


def test_other_methods_choose_among_the_same_candidates(report):
    assert [row.precision_1 for row in report.ranking if row.method == "contrary"] == [0]


def test_confidences_are_measured(report):
    assert 0 <= report.calibration.ece <= 1
    assert 0 <= report.calibration.coverage[0] <= 1
