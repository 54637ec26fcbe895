"""What people say of notes in ``notes.labels`` counts in what all labelled notes have in common."""

import asyncio
import random

import numpy as np
import pytest

from streamproc.errors import DependencyDownError
from streamproc.events.graph import Origin, Provenance
from streamproc.events.label import Judgement
from streamproc.graph import tag_history
from streamproc.graph.hits import Edge
from streamproc.graph.keys import note_row_key
from streamproc.graph.memory import MemoryGraph
from streamproc.graph.milvus import GraphAddress
from streamproc.graph.store import MilvusGraph
from streamproc.knowledge.judgements import Judgements
from tests.graph.material import DIMENSION, ENCODER_HASH, row, tagged, vector_of, words

TEXTS = {"a": "oolong, steeped", "b": "matcha, whisked", "c": "grout and tiles"}
BY_MODELS = Provenance.MODEL


class People:
    """Judgements that a graph hears one after another."""

    def __init__(self, graph):
        self.graph = graph
        self.judgements = Judgements()
        self.said = 0

    def say(self, note_id, tag_id, correct):
        self.judgements.apply(Judgement(note_id=note_id, tag_id=tag_id, correct=correct), 0, self.said)
        self.said += 1

    async def are_heard(self):
        """Let the graph hear them and wait until it has counted them."""
        self.graph.hear(self.judgements.snapshot())
        hearing = self.graph._history._hearing
        if hearing is not None:
            await hearing


async def told(graph):
    """What a search says of all labelled notes: uses, and the columns that vectors and words fill for x, y and z."""
    history = graph._history
    await history.current()
    history._told._rested = 0.0
    (hits,) = await graph.search(vector_of("anything")[None], tags=1, notes=1, segments=0)
    return said_by(hits)


def said_by(hits):
    names = [(tag_id,) for tag_id in "xyz"]
    likeness = np.zeros((3, 1)) if hits.likeness is None else hits.likeness.columns(names)
    wording = (
        [hits.wording.wording(words(text)).columns(names) for text in TEXTS.values()] if hits.wording else []
    )
    return dict(hits.uses), np.concatenate([likeness, *wording], axis=1)


def rows(**tags):
    """Rows of notes with a text, each with its tags; those in capitals are a model's."""
    return [
        row(
            note_id,
            *[
                tagged(each.lower(), provenance=BY_MODELS if each.isupper() else Provenance.IMPORT)
                for each in of_note
            ],
            text=TEXTS[note_id],
        )
        for note_id, of_note in tags.items()
    ]


@pytest.fixture
async def other(tmp_path):
    """Another graph, to compare with."""
    opened = await MilvusGraph.open(GraphAddress(str(tmp_path / "other.db")), ENCODER_HASH, DIMENSION)
    yield opened
    await opened.close()


def assert_same(one, another):
    assert one[0] == another[0]
    np.testing.assert_allclose(one[1], another[1], atol=1e-5)


async def test_a_tag_that_people_confirm_counts_as_one_that_the_note_has_and_a_rejected_one_no_longer_does(
    graph, other
):
    people = People(graph)
    await graph.write_notes(rows(a="x", b="yz", c="Z"))
    await told(graph)
    people.say("c", "z", True)
    people.say("b", "z", False)
    people.say("never there", "x", True)
    await people.are_heard()
    await other.write_notes(rows(a="x", b="y", c="z"))
    assert_same(await told(graph), await told(other))
    # And they may think again.
    people.say("c", "z", False)
    people.say("a", "x", False)
    await people.are_heard()
    await other.write_notes(rows(a="", b="y", c=""))
    assert_same(await told(graph), await told(other))


async def test_rows_that_are_written_after_people_spoke_count_as_people_said(graph, other):
    people = People(graph)
    await told(graph)
    people.say("a", "y", True)
    people.say("b", "y", False)
    await people.are_heard()
    await graph.write_notes(rows(a="x", b="yz", c="z"))
    await other.write_notes(rows(a="xy", b="z", c="z"))
    assert_same(await told(graph), await told(other))
    # Written again, or gone, they take away what they had taught.
    await graph.write_notes(rows(a="Z"))
    await graph.delete_notes([note_row_key("b", Origin.STREAM)])
    await other.write_notes(rows(a="y", c="z"))
    await other.delete_notes([note_row_key("b", Origin.STREAM)])
    assert_same(await told(graph), await told(other))


async def test_a_graph_that_is_opened_hears_what_people_have_said_by_its_first_search(tmp_path, other):
    address = GraphAddress(str(tmp_path / "graph.db"))
    first = await MilvusGraph.open(address, ENCODER_HASH, DIMENSION)
    await first.write_notes(rows(a="x", b="Y", c="z"))
    await first.close()
    again = await MilvusGraph.open(address, ENCODER_HASH, DIMENSION)
    people = People(again)
    people.say("b", "y", True)
    people.say("c", "z", False)
    await people.are_heard()
    assert again._history._hearing is None  # the first reading does it
    await other.write_notes(rows(a="x", b="y", c=""))
    assert_same(await told(again), await told(other))
    await again.close()


async def test_what_people_say_while_a_row_is_being_written_counts_once_the_graph_is_read(graph, other):
    people, write = People(graph), graph._write
    is_written, go = asyncio.Event(), asyncio.Event()

    async def dawdle(*what):
        await write(*what)
        is_written.set()
        await go.wait()

    graph._write = dawdle
    writing = asyncio.create_task(graph.write_notes(rows(a="x", b="y")))
    await is_written.wait()
    people.say("a", "z", True)
    await people.are_heard()
    reading = asyncio.create_task(graph.warm_up())
    await asyncio.sleep(0.01)
    go.set()
    await asyncio.gather(writing, reading)
    await other.write_notes(rows(a="xz", b="y"))
    assert_same(await told(graph), await told(other))


async def test_many_judgements_at_once_are_heard_by_reading_the_graph_again(graph, other, monkeypatch):
    monkeypatch.setattr(tag_history, "MANY_JUDGED", 3)
    people = People(graph)
    await graph.write_notes(rows(a="x", b="Y", c="z"))
    await told(graph)

    async def one_by_one(_note_ids):
        raise AssertionError("these are too many")

    monkeypatch.setattr(graph._history, "_tell", one_by_one)
    for note_id, tag_id, correct in (("b", "y", True), ("c", "z", False), ("never there", "x", True)):
        people.say(note_id, tag_id, correct)
    await people.are_heard()
    await other.write_notes(rows(a="x", b="y", c=""))
    assert_same(await told(graph), await told(other))


async def test_judgements_that_could_not_be_counted_are_counted_with_the_next(graph, other, monkeypatch):
    people = People(graph)
    await graph.write_notes(rows(a="x", b="Y", c="z"))
    await told(graph)
    tell = graph._history._tell

    async def is_down(_note_ids):
        raise DependencyDownError("Milvus", "gone")

    monkeypatch.setattr(graph._history, "_tell", is_down)
    people.say("b", "y", True)
    with pytest.raises(DependencyDownError):
        await people.are_heard()
    monkeypatch.setattr(graph._history, "_tell", tell)
    await people.are_heard()
    await other.write_notes(rows(a="x", b="y", c="z"))
    assert_same(await told(graph), await told(other))


async def test_a_row_that_is_written_while_judgements_are_being_counted_has_the_last_word(graph, other):
    people = People(graph)
    await graph.write_notes(rows(a="x", b="Y", c="z"))
    await told(graph)
    put, has_read = graph._history.put, asyncio.Event()

    async def dawdle(*labels):
        if not has_read.is_set():
            has_read.set()  # and what was read is old by the time it is told, if the row may change meanwhile
            await asyncio.sleep(0.3)
        await put(*labels)

    graph._history.put = dawdle
    people.say("b", "y", True)
    graph.hear(people.judgements.snapshot())
    await has_read.wait()
    await graph.write_notes(rows(b="Zx"))
    await graph._history._hearing
    await other.write_notes(rows(a="x", b="xy", c="z"))
    assert_same(await told(graph), await told(other))


async def test_a_tag_that_people_confirm_on_a_note_that_stands_there_twice_counts_once(graph, other):
    people = People(graph)
    await graph.write_notes([*rows(a="x", b="Y", c="z"), row("b", origin=Origin.IMPORT, text=TEXTS["b"])])
    await told(graph)
    people.say("b", "y", True)
    await people.are_heard()
    await other.write_notes(rows(a="x", b="y", c="z"))
    assert_same(await told(graph), await told(other))


@pytest.mark.parametrize("seed", range(8))
async def test_a_graph_that_is_opened_again_has_counted_what_it_had_whatever_happened(
    tmp_path, monkeypatch, seed
):
    monkeypatch.setattr("streamproc.graph.store.PAGE_ROWS", 3)
    chance = random.Random(seed)
    address = GraphAddress(str(tmp_path / "graph.db"))
    graph = await MilvusGraph.open(address, ENCODER_HASH, DIMENSION)
    people = People(graph)

    def some_rows():
        return [
            row(
                note_id,
                *[
                    tagged(each, provenance=chance.choice([BY_MODELS, Provenance.IMPORT]))
                    for each in "xyz"
                    if chance.random() < 0.4
                ],
                origin=chance.choice(list(Origin)),
                vector=vector_of(note_id + chance.choice(["", "rewritten"])),
                text=chance.choice(list(TEXTS.values())),
            )
            for note_id in chance.choices("abcd", k=3)
        ]

    await graph.write_notes([row(f"n{number}", tagged("xyz"[number % 3])) for number in range(9)])
    for _ in range(40):
        match chance.randrange(7):
            case 0 | 1:
                await graph.write_notes(some_rows())
            case 2:
                await graph.delete_notes([each.note.key for each in some_rows()])
            case 3:
                people.say(chance.choice("abcd"), chance.choice("xyz"), chance.random() < 0.5)
                graph.hear(people.judgements.snapshot())
            case 4:
                graph._history._read()
                await asyncio.sleep(chance.choice([0, 0.002]))
            case 5:
                await graph.warm_up()
            case 6:
                attempt = asyncio.create_task(graph.write_notes(some_rows()))
                await asyncio.sleep(chance.choice([0, 0.001, 0.002]))
                attempt.cancel()
                await asyncio.wait([attempt])
    await people.are_heard()
    for _ in range(2):  # a reading that is under way may have begun before a write was cancelled
        graph._history._due = 0.0
        await graph.warm_up()
        await graph._history._reading
    counted = await told(graph)
    await graph.close()
    again = await MilvusGraph.open(address, ENCODER_HASH, DIMENSION)
    again.hear(people.judgements.snapshot())
    assert_same(counted, await told(again))
    await again.close()


async def test_the_graph_in_memory_hears_the_same(graph):
    texts = [words(text) for text in TEXTS.values()]
    edges = [
        (Edge("x", 1.0, Provenance.IMPORT),),
        (Edge("y", 1.0, Provenance.IMPORT), Edge("z", 1.0, Provenance.IMPORT)),
        (Edge("z", 1.0, BY_MODELS),),
    ]
    memory = MemoryGraph(
        tag_ids=[],
        tag_vectors=np.zeros((0, DIMENSION), dtype=np.float32),
        note_ids=list(TEXTS),
        note_vectors=np.stack([vector_of(note_id) for note_id in TEXTS]),
        edges=edges,
        words=texts,
    )
    await graph.write_notes(rows(a="x", b="yz", c="Z"))
    people = People(graph)
    for round_of in ((("c", "z", True), ("b", "z", False)), (("a", "y", True),)):
        for each in round_of:
            people.say(*each)
        await people.are_heard()
        memory.hear(people.judgements.snapshot())
        (hits,) = await memory.search(vector_of("anything")[None], tags=1, notes=1, segments=0)
        assert_same(said_by(hits), await told(graph))
