import numpy as np
import pytest

from streamproc.calibration import outside
from streamproc.calibration.outside import take_outside, take_twins
from streamproc.calibration.sample import Surroundings, take_sample
from streamproc.events.files import tag_from_row
from streamproc.events.graph import Provenance
from streamproc.events.note import Note
from streamproc.graph.evidence import COLUMN
from streamproc.graph.hits import Edge
from streamproc.graph.knowledge_view import KnowledgeView
from streamproc.graph.memory import MemoryGraph
from streamproc.graph.thresholds import FITTED
from streamproc.knowledge.judgements import Judgements
from streamproc.knowledge.repository import Repository
from streamproc.knowledge.segments import Segments
from streamproc.knowledge.snapshot import Knowledge
from tests.calibration.test_sample import MODELS, labelled

TAGS = ("tea", "coffee", "cocoa")
MERGED = {"chai": "tea"}


def around(edges, tags=TAGS, merged=MERGED):
    """Three tags and these notes, whose tags are as people wrote them."""
    random = np.random.default_rng(2)
    vectors = random.normal(size=(len(TAGS) + 8, 16)).astype(np.float32) + 0.5
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    kept = [place for place, tag in enumerate(TAGS) if tag in tags]
    places = [place for place in range(8) if edges.get(f"n{place}")]
    graph = MemoryGraph(
        tag_ids=[TAGS[place] for place in kept],
        tag_vectors=vectors[kept],
        note_ids=[f"n{place}" for place in places],
        note_vectors=vectors[len(TAGS) :][places],
        edges=[tuple(Edge(tag, 1.0, Provenance.IMPORT) for tag in edges[f"n{place}"]) for place in places],
    )
    rows = [{"tag": tag} for tag in tags]
    rows += [{"tag": name, "status": "merged", "merged_into": into} for name, into in merged.items()]
    snapshot = Knowledge(
        Repository.of([tag_from_row(row) for row in rows]), Judgements(), Segments.of([])
    ).snapshot()
    surroundings = Surroundings(graph, KnowledgeView(snapshot), snapshot.judgements, FITTED)
    return surroundings, vectors[len(TAGS) :]


EDGES = {
    "n0": ["tea"],
    "n1": ["chai"],
    "n2": ["tea", "coffee"],
    "n3": ["coffee"],
    "n4": ["cocoa"],
    "n5": ["cocoa", "coffee"],
    "n6": ["chai", "cocoa"],
    "n7": ["coffee"],
}


async def test_it_is_as_if_the_tag_had_never_been():
    whole, vectors = around(EDGES)
    without = {note: [tag for tag in tags if tag not in {"tea", "chai"}] for note, tags in EDGES.items()}
    smaller, _ = around(without, ("coffee", "cocoa"), {})
    note = [labelled("n0", "tea")]
    found = await take_outside(note, vectors[:1], whole, MODELS)
    expected = await take_sample(note, vectors[:1], smaller, MODELS)
    assert found.tag.tolist() == expected.tag.tolist() == ["coffee", "cocoa"]
    exact = slice(0, COLUMN["likeness"])
    assert found.evidence[:, exact] == pytest.approx(expected.evidence[:, exact], abs=1e-6)
    # Of the tags that are left, the two are all that anybody has used.
    for name in ("likeness_soft", "likeness_sharp"):
        assert found.evidence[:, COLUMN[name]].sum() == pytest.approx(1.0)
    assert not found.right.any()


async def test_its_name_in_the_note_does_not_bring_a_tag_back():
    whole, vectors = around(EDGES)
    named = labelled("n0", "tea")
    assert named.note.text == "n0"
    spoken = type(named)(Note(note_id="n0", title="tea, tea, tea", tags=("tea",)), named.gold)
    found = await take_outside([spoken], vectors[:1], whole, MODELS)
    assert set(found.tag.tolist()) == {"coffee", "cocoa"}


async def test_both_samples_have_the_same_notes():
    whole, vectors = around(EDGES)
    notes = [labelled(note_id, *tags) for note_id, tags in EDGES.items()]
    told = []
    twins = await take_twins(notes, vectors, whole, MODELS, lambda done, total: told.append((done, total)))
    assert twins.inside.notes == twins.outside.notes == len(EDGES)
    assert list(twins.inside.gold) == list(twins.outside.gold)
    assert told == [(8, 16), (16, 16)]
    for note, gold in enumerate(twins.outside.gold):
        assert not gold & set(twins.outside.tag[twins.outside.note == note].tolist())


async def test_a_note_alone_has_the_candidates_that_it_has_among_others():
    whole, vectors = around(EDGES)
    notes = [labelled(note_id, *tags) for note_id, tags in EDGES.items()]
    together = await take_outside(notes, vectors, whole, MODELS)
    alone = await take_outside(notes[3:4], vectors[3:4], whole, MODELS)
    mine = together.note == 3
    assert together.tag[mine].tolist() == alone.tag.tolist()
    assert together.evidence[mine] == pytest.approx(alone.evidence, abs=1e-6)


async def test_a_note_among_nothing_but_its_own_has_no_candidates(monkeypatch):
    """More of them than are asked for: what lies behind nobody has seen."""
    monkeypatch.setattr(outside, "NEAREST_NOTES", 4)
    whole, vectors = around({f"n{place}": ["tea"] for place in range(8)})
    found = await take_outside([labelled("n0", "tea"), labelled("n1", "coffee")], vectors[:2], whole, MODELS)
    assert (found.notes, set(found.note.tolist())) == (2, set())
