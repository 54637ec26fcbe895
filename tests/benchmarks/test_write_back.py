"""The benchmark of the write-back: what enters its graph is what the pipeline would write."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.write_back import Setting, frozen_graph, labelled_graph, measure, passes, setting
from streamproc.evaluation.dataset import Split, read_dataset
from streamproc.evaluation.prepared import prepare
from streamproc.evaluation.vectors import VectorCache
from streamproc.events.graph import Provenance
from streamproc.graph.thresholds import FITTED
from tests.evaluation.worlds import MODELS, BagEncoder, write_hobbies

NEVER = 1.01
"""A confidence that no belief reaches."""


@pytest.fixture(scope="module")
def common(tmp_path_factory) -> Setting:
    """Hobbies: every other note of train is labelled, the others are streamed."""
    directory = write_hobbies(tmp_path_factory.mktemp("data") / "hobbies")
    cache = VectorCache(BagEncoder(), "bag", tmp_path_factory.mktemp("bag"))
    made = setting(prepare(read_dataset(directory), cache), MODELS, Split.VALID)
    train = np.arange(len(made.history) + len(made.stream))
    return replace(made, history=train[::2], stream=train[1::2])


def streamed(common, least, count=1, written_as=Provenance.MODEL):
    """The last pass over the stream, and all edges that notes of the stream have after it."""
    *_, last = passes(common, replace(FITTED, min_model_weight=least), count, written_as)
    ids = {common.prepared.dataset.train[place].note.note_id for place in common.stream}
    hits = last.graph.nearest(common.prepared.vectors[Split.TRAIN][:1], tags=0, notes=1000)[0].notes
    notes = [hit for hit in hits if hit.note_id in ids]
    assert len(notes) == len(common.stream)
    return last, [edge for note in notes for edge in note.edges]


def test_what_was_emitted_is_written_and_weaker_beliefs_as_far_as_they_would_be_heard(common):
    _, emitted = streamed(common, NEVER)
    weak_too, believed = streamed(common, 0.01)
    assert emitted
    assert min(edge.weight for edge in emitted) >= common.policy.min_confidence
    assert set(emitted) < set(believed)
    assert 0.01 <= min(edge.weight for edge in believed) < common.policy.min_confidence
    assert weak_too.edges == len(believed) / len(common.stream)
    assert {edge.provenance for edge in believed} == {Provenance.MODEL}


def test_a_further_pass_replaces_the_edges_of_the_one_before(common):
    first, once = streamed(common, 0.01)
    second, twice = streamed(common, 0.01, count=2)
    assert second.edges == pytest.approx(first.edges, rel=0.5)
    assert len(twice) == pytest.approx(len(once), rel=0.5)


def test_without_the_guard_the_same_edges_are_said_to_be_peoples(common):
    _, edges = streamed(common, NEVER, written_as=Provenance.HUMAN)
    assert {edge.provenance for edge in edges} == {Provenance.HUMAN}


def test_measuring_leaves_the_graph_as_it_is(common):
    graph = frozen_graph(common)
    before = measure(common, graph, FITTED)
    assert measure(common, graph, FITTED).right.tolist() == before.right.tolist()
    assert before.right.mean() == 1
    assert measure(common, labelled_graph(common), FITTED).right.mean() == 1
