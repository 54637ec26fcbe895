import numpy as np
import pytest

from streamproc.calibration.sample import Labelled, Surroundings, draw, gold_of, joined, take_sample
from streamproc.events.files import tag_from_row
from streamproc.events.graph import Provenance
from streamproc.events.note import Note
from streamproc.graph.evidence import COLUMN
from streamproc.graph.hits import Edge
from streamproc.graph.knowledge_view import KnowledgeView
from streamproc.graph.memory import MemoryGraph
from streamproc.graph.thresholds import FITTED
from streamproc.inference.protocols import Models
from streamproc.knowledge.judgements import Judgements
from streamproc.knowledge.repository import Repository
from streamproc.knowledge.segments import Segments
from streamproc.knowledge.snapshot import Knowledge

TAGS = [
    {"tag": "tea"},
    {"tag": "chai", "status": "merged", "merged_into": "tea"},
    {"tag": "secret", "policy": "manual_only"},
    {"tag": "coffee", "kind": "drink"},
]


def knowledge():
    return Knowledge(Repository.of([tag_from_row(row) for row in TAGS]), Judgements(), Segments.of([]))


def labelled(note_id, *tags):
    note = Note(note_id=note_id, text=note_id, tags=tags)
    return Labelled(note, gold_of(note, KnowledgeView(knowledge().snapshot())))


class _Votes:
    """Models that say what share of the neighbours carries the tag."""

    version = "votes"

    async def score(self, requests):
        return [request.evidence[:, COLUMN["vote_50"]] for request in requests]

    async def judge(self, requests, logits):
        return [np.clip(each, 0.01, 0.99).astype(np.float32) for each in logits]


async def nothing():
    """Nothing to give back."""


MODELS = Models(encoder=None, tagger=_Votes(), calibrator=_Votes(), release=nothing)


@pytest.fixture
def history():
    return [labelled(f"t{n}", "tea") for n in range(4)] + [labelled("c", "coffee")]


async def sample_of(history):
    vectors = np.eye(8, dtype=np.float32)[: len(history)] * 0.6 + 0.3
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    graph = MemoryGraph(
        tag_ids=["tea", "coffee"],
        tag_vectors=np.eye(8, dtype=np.float32)[:2],
        note_ids=[each.note.note_id for each in history],
        note_vectors=vectors,
        edges=[tuple(Edge(tag, 1.0, Provenance.IMPORT) for tag in sorted(each.gold)) for each in history],
    )
    snapshot = knowledge().snapshot()
    around = Surroundings(graph, KnowledgeView(snapshot), snapshot.judgements, FITTED)
    return await take_sample(history, vectors, around, MODELS)


def test_merged_tags_count_as_what_they_became_and_reserved_ones_not_at_all():
    assert labelled("n", "chai", "secret", "unheard of").gold == {"tea"}


async def test_a_note_of_the_history_does_not_recall_itself(history):
    sample = await sample_of(history)
    own = (sample.note == 4) & (sample.tag == "coffee")
    assert own.sum() == 1  # recalled by its name and vector, not by its own label
    assert sample.evidence[own, COLUMN["vote_50"]] == 0
    assert sample.right[own]


async def test_rows_say_tag_kind_and_truth(history):
    sample = await sample_of(history)
    assert sample.notes == 5
    assert set(zip(sample.tag.tolist(), sample.kind.tolist(), strict=True)) == {
        ("tea", "topic"),
        ("coffee", "drink"),
    }
    assert (
        sample.right == [tag in sample.gold[note] for tag, note in zip(sample.tag, sample.note, strict=True)]
    ).all()


async def test_samples_are_joined_and_cut_by_notes(history):
    sample = await sample_of(history)
    twice = joined([sample, sample])
    assert twice.notes == 10
    assert (twice.note[len(sample.note) :] == sample.note + 5).all()
    assert (twice.first(5).evidence == sample.evidence).all()


def test_the_same_notes_are_drawn_each_time_and_those_that_served_can_be_left_out():
    assert (draw(100, 30) == draw(100, 30)).all()
    assert not set(draw(100, 30)) & set(draw(100, 30, skip=30))
    assert sorted(draw(10, 30)) == list(range(10))
