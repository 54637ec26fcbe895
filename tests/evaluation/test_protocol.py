from dataclasses import replace

import msgspec
import pytest

from streamproc.errors import UserError
from streamproc.evaluation.dataset import Split, read_dataset
from streamproc.evaluation.prepared import prepare
from streamproc.evaluation.protocol import Studies, Subject, evaluate
from streamproc.evaluation.report import Report
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


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return VectorCache(WordEncoder(), "words", tmp_path_factory.mktemp("vectors"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, cache):
    return prepare(read_dataset(write_dataset(tmp_path_factory.mktemp("data") / "papers_keywords")), cache)


@pytest.fixture(scope="module")
def models():
    return load_models(Bundle.load(default_bundle_path()), threads=1)


@pytest.fixture(scope="module")
def report(prepared, models, cache):
    return evaluate(
        prepared,
        Subject("b", models, FITTED),
        split=Split.TEST,
        trees=(),
        extra_rankers=(Contrary(),),
        studies=Studies(ablations=True, new_tags=0.5, out_of_scope=1),
        cache=cache,
    )


def test_only_notes_with_a_tag_of_the_repository_are_scored(report):
    assert (report.notes, report.tags, report.history) == (2, 2, 4)


def test_recall_and_ranking_stand_beside_their_baselines(report):
    untrained = ["matching", "neighbour votes", "paper's constants"]
    assert [row.method for row in report.recall] == [*untrained, "streamproc"]
    assert report.recall[-1].right == 1
    assert [row.method for row in report.ranking] == [*untrained, "contrary", "streamproc"]
    assert report.ranking[-1].precision_1 == 1


def test_other_methods_choose_among_the_same_candidates(report):
    (contrary,) = (row for row in report.ranking if row.method == "contrary")
    assert contrary.precision_1 == 0
    assert contrary.behind.mean == 1
    (told,) = (row for row in report.emission if row.method == "contrary")
    assert (told.tags_a_note, told.precision) == (1, 0)


def test_confidences_are_measured_beside_what_the_tagger_alone_gives(report):
    assert [row.method for row in report.confidence] == [
        "streamproc",
        "tagger, one temperature",
        "tagger alone",
    ]
    ours, _, plain = report.confidence
    assert ours.excess == pytest.approx(ours.ece.mean - ours.noise.mean)
    assert report.verdict.coverage_ratio == pytest.approx(ours.coverage_1 / plain.coverage_1)


def test_tags_are_told_apart_by_how_often_they_stand_in_the_history(report):
    (bucket,) = report.buckets
    assert (bucket.least, bucket.most, bucket.tags, bucket.gold) == (1, 4, 2, 2)
    assert bucket.recalled == 1
    assert bucket.name == "1–4 times"


def test_studies_are_part_of_the_report(report):
    assert report.ablations[0].name == "everything"
    assert [row.described for row in report.new_tags] == [True, False]
    assert len(report.out_of_scope) == 1


def test_a_report_is_read_back_as_it_was_written(report):
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_a_split_without_a_scored_note_is_refused(prepared, models):
    empty = replace(prepared, dataset=replace(prepared.dataset, test=()))
    with pytest.raises(UserError, match="nothing to measure"):
        evaluate(empty, Subject("b", models, FITTED), trees=())
