"""What a stored graph knows of how often people use its tags, on Milvus Lite and on its server."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from streamproc.errors import DependencyDownError
from streamproc.events.graph import Origin, Provenance
from streamproc.events.label import Judgement
from streamproc.graph.keys import note_row_key
from streamproc.graph.knowledge_view import KnowledgeView
from streamproc.graph.milvus import GraphAddress
from streamproc.graph.recall import recall
from streamproc.graph.rows import VertexRow, unit
from streamproc.graph.store import MilvusGraph
from streamproc.graph.thresholds import FITTED
from streamproc.graph.use_counts import UseCounts
from streamproc.graph.uses import COUNTED
from streamproc.knowledge.snapshot import Knowledge
from tests.graph.material import DIMENSION, ENCODER_HASH, row, tagged, vector_of
from tests.graph.recalling import NOTE, tag


async def uses_of(graph):
    (hits,) = await graph.search(vector_of("anything")[None], tags=1, notes=1, segments=0)
    return dict(hits.uses)


def key(note_id):
    return note_row_key(note_id, Origin.STREAM)


async def test_every_search_tells_on_how_many_notes_people_put_each_tag(graph):
    assert await uses_of(graph) == {}
    await graph.write_notes(
        [
            row("n", tagged("a"), tagged("b", provenance=Provenance.MODEL)),
            row("n", tagged("a"), origin=Origin.IMPORT),
            row("m", tagged("a"), tagged("c", provenance=Provenance.AUTHOR)),
        ]
    )
    assert await uses_of(graph) == {"a": 2, "c": 1}


async def test_a_note_that_changes_or_goes_takes_its_tags_along(graph):
    await graph.write_notes([row("n", tagged("a")), row("m", tagged("a"), tagged("b"))])
    assert await uses_of(graph) == {"a": 2, "b": 1}
    await graph.write_notes([row("m", tagged("b"))])
    assert await uses_of(graph) == {"a": 1, "b": 1}
    await graph.delete_notes([key("n"), key("never there")])
    assert await uses_of(graph) == {"b": 1}
    await graph.clear()
    assert await uses_of(graph) == {}


async def test_the_counts_are_there_again_after_a_restart(tmp_path):
    address = GraphAddress(str(tmp_path / "graph.db"))
    first = await MilvusGraph.open(address, ENCODER_HASH, DIMENSION)
    await first.write_notes([row(f"n{number}", tagged("a"), tagged(f"t{number}")) for number in range(50)])
    await first.delete_notes([key("n0")])
    before = await uses_of(first)
    await first.close()
    again = await MilvusGraph.open(address, ENCODER_HASH, DIMENSION)
    assert await uses_of(again) == before == {"a": COUNTED, **{f"t{number}": 1 for number in range(1, 50)}}
    await again.close()


async def test_what_one_worker_writes_to_a_server_the_others_count_in_time(milvus_server, unique_prefix):
    address = GraphAddress(milvus_server.uri, timeout_seconds=30.0, topic_prefix=unique_prefix)
    mine, theirs = [await MilvusGraph.open(address, ENCODER_HASH, DIMENSION) for _ in range(2)]
    theirs._uses = UseCounts(theirs._peoples_tags, shared=True, recount_seconds=0.0)
    assert await uses_of(theirs) == {}
    await mine.write_notes([row("n", tagged("a"))])
    assert await uses_of(mine) == {"a": 1}
    for _ in range(200):
        if await uses_of(theirs) == {"a": 1}:
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("the other worker's note was never counted")
    await mine.close()
    await theirs.close()


async def test_a_published_tag_is_recalled_at_once_and_holds_no_place_once_people_have_used_it(graph):
    knowledge = Knowledge()
    used = [tag(f"used{number:02}") for number in range(60)]
    knowledge.repository.load((each, offset) for offset, each in enumerate([*used, tag("new")]))
    note = vector_of("the note")
    away = unit((note + 1.5 * vector_of("elsewhere"))[None])[0]
    await graph.write_tags([VertexRow(each.tag_id, note) for each in used[:10]] + [VertexRow("new", away)])
    carried = [tagged(each.tag_id) for each in used]
    await graph.write_notes([row("n1", *carried, vector=note), row("n2", *carried, vector=note)])

    async def candidates():
        (found,) = await graph.search(note[None], tags=48, notes=128, segments=0)
        snapshot = knowledge.snapshot()
        recalled = recall(
            NOTE, found, KnowledgeView(snapshot), snapshot.judgements, replace(FITTED, candidates=20)
        )
        return {each.tag_id for each in recalled.tags}

    assert "new" in await candidates()
    knowledge.judgements.apply(Judgement(note_id="elsewhere", tag_id="new", correct=True), 0, 0)
    assert "new" not in await candidates()
    knowledge.judgements.apply(Judgement(note_id="elsewhere", tag_id="new", correct=False), 0, 1)
    assert "new" in await candidates()
    # A note that has it, but is too far away to vote.
    await graph.write_notes([row("n3", tagged("new", provenance=Provenance.AUTHOR), vector=-note)])
    assert "new" not in await candidates()
    await graph.delete_notes([key("n3")])
    assert "new" in await candidates()


class Pages:
    """A graph that is read in pages; each read waits until it is let go."""

    def __init__(self, *pages):
        self.pages = list(pages)
        self.reading = asyncio.Event()
        self.go = asyncio.Event()

    async def scan(self):
        for page in self.pages:
            self.reading.set()
            await self.go.wait()
            if isinstance(page, Exception):
                raise page
            yield page


async def test_what_is_written_while_the_graph_is_being_counted_has_the_last_word():
    pages = Pages({key("n"): frozenset({"old"}), key("m"): frozenset({"old"})})
    counts = UseCounts(pages.scan, shared=False)
    counting = asyncio.create_task(counts.current())
    await pages.reading.wait()
    counts.put({key("n"): frozenset({"new"}), key("k"): frozenset({"new"})})
    pages.go.set()
    assert await counting == {"old": 1, "new": 2}


async def test_a_graph_that_is_emptied_while_it_is_counted_is_empty():
    pages = Pages({key("n"): frozenset({"old"})})
    counts = UseCounts(pages.scan, shared=False)
    counting = asyncio.create_task(counts.current())
    await pages.reading.wait()
    counts.forget()
    counts.put({key("m"): frozenset({"new"})})
    pages.go.set()
    assert await counting == {"new": 1}


async def test_a_first_count_that_fails_is_an_error_and_the_next_search_counts_again():
    pages = Pages(DependencyDownError("Milvus", "gone"))
    pages.go.set()
    counts = UseCounts(pages.scan, shared=True)
    with pytest.raises(DependencyDownError):
        await counts.current()
    pages.pages = [{key("n"): frozenset({"a"})}]
    assert await counts.current() == {"a": 1}


async def test_a_later_count_that_fails_leaves_the_last_one_in_place():
    pages = Pages({key("n"): frozenset({"a"})})
    pages.go.set()
    counts = UseCounts(pages.scan, shared=True, recount_seconds=0.0)
    assert await counts.current() == {"a": 1}
    counts._due = 0.0
    pages.pages = [DependencyDownError("Milvus", "gone")]
    assert await counts.current() == {"a": 1}
    await asyncio.sleep(0.05)
    counts.put({key("m"): frozenset({"a"})})
    assert await counts.current() == {"a": 2}
    await counts.close()


async def test_a_search_counts_the_same_for_every_note_of_its_batch(graph):
    await graph.write_notes([row("n", tagged("a"))])
    vectors = np.stack([vector_of("one"), vector_of("two")])
    one, two = await graph.search(vectors, tags=1, notes=1, segments=0)
    assert one.uses is two.uses


async def test_a_graph_that_was_warmed_up_counts_nothing_when_the_first_note_comes(graph, monkeypatch):
    await graph.write_notes([row("n1", tagged("a"))])
    await graph.warm_up()

    async def never():
        raise AssertionError("counted once more")
        yield

    monkeypatch.setattr(graph._uses, "_scan", never)
    assert await uses_of(graph)
