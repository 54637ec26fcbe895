"""What a stored graph knows of people's labels, on Milvus Lite and on its server."""

import asyncio
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from streamproc.errors import DependencyDownError
from streamproc.events.graph import Origin, Provenance
from streamproc.events.label import Judgement
from streamproc.graph.hits import Edge
from streamproc.graph.keys import note_row_key
from streamproc.graph.knowledge_view import KnowledgeView
from streamproc.graph.label_sums import Labels, Taught
from streamproc.graph.memory import MemoryGraph
from streamproc.graph.milvus import GraphAddress
from streamproc.graph.recall import recall
from streamproc.graph.rows import VertexRow, unit
from streamproc.graph.store import MilvusGraph
from streamproc.graph.tag_history import TagHistory
from streamproc.graph.thresholds import FITTED
from streamproc.graph.uses import COUNTED
from streamproc.graph.wording import NO_WORDS
from streamproc.knowledge.snapshot import Knowledge
from tests.graph.material import DIMENSION, ENCODER_HASH, row, tagged, vector_of, words
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
    theirs._history = TagHistory(theirs._labels, theirs._tell, DIMENSION, shared=True, reread_seconds=0.0)
    assert await uses_of(theirs) == {}
    await mine.write_notes([row("n", tagged("a"), text="oolong")])
    assert await uses_of(mine) == {"a": 1}
    for _ in range(200):
        if await uses_of(theirs) == {"a": 1}:
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("the other worker's note was never counted")
    (hits,) = await theirs.search(vector_of("anything")[None], tags=1, notes=1, segments=0)
    assert hits.wording.notes == 1
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


async def told_by_nobody(_note_ids):
    raise AssertionError("nobody has judged anything")


def labels(**tags):
    """Rows by their notes' ids, each with its tags; none: the row is gone."""
    return Labels(
        [key(note_id) for note_id in tags],
        [frozenset(each.split()) for each in tags.values()],
        np.stack([vector_of(note_id) for note_id in tags]),
        [words(TEXTS.get(note_id, "")) for note_id in tags],
    )


def before(*note_ids):
    return {key(note_id): Taught(vector_of(note_id), words(TEXTS.get(note_id, ""))) for note_id in note_ids}


TEXTS = {"a": "oolong, steeped", "b": "matcha, whisked", "c": "grout and tiles", "d": "a receipt in may"}
"""Texts of some notes; rows of the others were written before words were stored."""


def told():
    history = TagHistory(Pages().scan, told_by_nobody, DIMENSION, shared=False)
    history.forget()
    return history


async def words_told(history):
    """What the words of each text say of each tag, once the models have been made anew."""
    history._told._rested = 0.0
    return wordings((await history.current()).wording)


def wordings(model):
    """float64[texts, tags, columns]; None where no words were told."""
    names = [(tag_id,) for tag_id in "xyz"]
    return model and np.stack([model.wording(words(text)).columns(names) for text in TEXTS.values()])


async def uses(history):
    return dict((await history.current()).uses)


async def likeness_of(history, note, tag_id):
    """How much a note is like those of a tag, once the discriminant has been made anew."""
    history._told._rested = 0.0
    (likeness,) = (await history.current()).discriminant.likenesses(vector_of(note)[None])
    return likeness.columns([(tag_id,)])[0]


async def test_what_is_written_while_the_graph_is_being_read_has_the_last_word():
    pages = Pages(labels(n="old", m="old"))
    history = TagHistory(pages.scan, told_by_nobody, DIMENSION, shared=False)
    reading = asyncio.create_task(history.current())
    await pages.reading.wait()
    await history.put(labels(n="new", k="new"), {})
    pages.go.set()
    await reading
    assert await uses(history) == {"old": 1, "new": 2}
    other = told()
    await other.put(labels(m="old", n="new", k="new"), {})
    assert await likeness_of(history, "n", "new") == pytest.approx(await likeness_of(other, "n", "new"))


async def test_a_row_that_is_removed_while_its_page_is_being_read_is_removed_from_what_was_read():
    pages = Pages(labels(n="old", m="old"))
    history = TagHistory(pages.scan, told_by_nobody, DIMENSION, shared=False)

    async def remove():
        async with history.telling():
            await history.put(labels(n=""), before("n"))

    reading = asyncio.create_task(history.current())
    await pages.reading.wait()
    removing = asyncio.create_task(remove())
    await asyncio.sleep(0)
    pages.go.set()
    await asyncio.gather(reading, removing)
    assert await uses(history) == {"old": 1}


async def test_notes_without_labels_of_people_leave_nothing_in_memory():
    history = TagHistory(Pages().scan, told_by_nobody, DIMENSION, shared=False)
    await history.current()
    await history.put(labels(n="", m="", k="a"), {})
    assert history._told._sums.tags.keys() == {key("k")}


async def test_what_was_read_before_it_was_told_counts_once():
    pages = Pages(labels(n="a"), labels(m="a"))
    history = TagHistory(pages.scan, told_by_nobody, DIMENSION, shared=False)
    pages.go.set()
    await history.current()
    once = await likeness_of(history, "n", "a")
    await history.put(labels(m="a"), {})
    assert await likeness_of(history, "n", "a") == pytest.approx(once)


async def test_a_note_that_changes_or_goes_takes_what_it_taught_along():
    history, other = told(), told()
    await history.put(labels(a="x", b="x y", c="z"), {})
    assert history.needed(labels(b="z", never_there="")) == [key("b")]
    await history.put(labels(b="z", c=""), before("b", "c"))
    await other.put(labels(a="x", b="z"), {})
    for tag_id in "xyz":
        assert await likeness_of(history, "a", tag_id) == pytest.approx(
            await likeness_of(other, "a", tag_id), abs=1e-5
        )
    assert await uses(history) == await uses(other) == {"x": 1, "z": 1}


async def test_the_words_of_a_note_count_from_when_it_is_told_and_no_longer_once_it_changes_or_goes():
    history, other = told(), told()
    assert await words_told(history) is None
    await history.put(labels(a="x", b="x y", c="z", d="z"), {})
    first = await words_told(history)
    of_x, of_c = first[list(TEXTS).index("a"), 0], first[list(TEXTS).index("c"), 0]
    assert of_x[0] > 0 > of_c[0]
    await history.put(labels(b="z", c=""), before("b", "c"))
    await other.put(labels(a="x", b="z", d="z"), {})
    assert await words_told(history) == pytest.approx(await words_told(other), abs=1e-5)
    assert not np.allclose(await words_told(history), first, atol=1e-3)
    await history.put(labels(a="", b="", d=""), before("a", "b", "d"))
    assert await words_told(history) is None


async def test_a_note_that_was_stored_before_words_were_teaches_words_once_it_is_written_again():
    history, other = told(), told()
    await history.put(labels(a="x", c="z"), {})
    without = replace(labels(b="x y"), words=[NO_WORDS])
    await history.put(without, {})
    await other.put(labels(a="x", c="z"), {})
    assert await words_told(history) == pytest.approx(await words_told(other))
    await history.put(labels(b="x y"), {key("b"): Taught(vector_of("b"), NO_WORDS)})
    await other.put(labels(b="x y"), {})
    assert await words_told(history) == pytest.approx(await words_told(other))
    await history.put(labels(b=""), before("b"))
    await other.put(labels(b=""), before("b"))
    assert await words_told(history) == pytest.approx(await words_told(other), abs=1e-5)


async def test_words_that_were_read_before_they_were_told_count_once():
    pages = Pages(labels(a="x"), labels(b="y", c="z"))
    pages.go.set()
    history = TagHistory(pages.scan, told_by_nobody, DIMENSION, shared=False)
    await history.current()
    once = await words_told(history)
    await history.put(labels(b="y"), {})
    await history.put(labels(b="y", c="z"), before("b", "c"))
    assert await words_told(history) == pytest.approx(once, abs=1e-5)


async def test_words_that_are_written_while_the_graph_is_being_read_have_the_last_word():
    pages = Pages(labels(a="x", b="y", c="z"))
    history, other = TagHistory(pages.scan, told_by_nobody, DIMENSION, shared=False), told()
    reading = asyncio.create_task(history.current())
    await pages.reading.wait()
    await history.put(labels(b="x", d="z"), {})
    pages.go.set()
    await reading
    await other.put(labels(a="x", b="x", c="z", d="z"), {})
    assert await words_told(history) == pytest.approx(await words_told(other), abs=1e-5)


async def test_a_search_tells_what_the_words_of_all_labelled_notes_say(graph):
    await graph.write_notes(
        [
            row("a", tagged("x"), text=TEXTS["a"]),
            row("b", tagged("y"), text=TEXTS["b"]),
            row("of models", tagged("z", provenance=Provenance.MODEL), text=TEXTS["c"]),
        ]
    )
    one, two = await graph.search(vector_of("anything")[None].repeat(2, axis=0), tags=1, notes=1, segments=0)
    assert one.wording is two.wording
    other = told()
    await other.put(labels(a="x", b="y"), {})
    assert wordings(one.wording) == pytest.approx(await words_told(other))


@pytest.mark.parametrize("when", ["as it is written", "as it is read"])
async def test_a_note_that_stands_in_the_graph_twice_is_left_out_of_all_that_it_taught(graph, when):
    if when == "as it is written":
        await graph.warm_up()
        graph._history._told._rested = 0.0  # the models are made anew for the next search
    others = [row(f"n{number}", tagged("x"), text=TEXTS["b"]) for number in range(3)]
    twice = [row("a", tagged("y"), origin=origin, text=TEXTS["a"]) for origin in Origin]
    await graph.write_notes([*others, *twice])
    (hits,) = await graph.search(vector_of("a")[None], tags=1, notes=9, segments=0)
    assert hits.likeness.discriminant.notes == hits.wording.notes == 4
    likeness = hits.likeness.leaving_out(["y"]).columns([("y",)])
    wording = hits.wording.wording(words(TEXTS["a"])).leaving_out(["y"]).columns([("y",)])
    assert not likeness[0, :5].any()
    assert not wording.any()


async def test_a_graph_that_is_opened_again_knows_the_same_words(tmp_path):
    address = GraphAddress(str(tmp_path / "graph.db"))
    first = await MilvusGraph.open(address, ENCODER_HASH, DIMENSION)
    await first.warm_up()
    await first.write_notes([row(each, tagged("x"), text=TEXTS[each]) for each in "abc"])
    await first.write_notes([row("b", tagged("y"), text=TEXTS["d"]), row("older", tagged("y"))])
    await first.delete_notes([key("a")])
    before = await words_told(first._history)
    await first.close()
    again = await MilvusGraph.open(address, ENCODER_HASH, DIMENSION)
    await again.warm_up()
    assert await words_told(again._history) == pytest.approx(before, abs=1e-5)
    other = told()
    await other.put(replace(labels(b="y", c="x"), words=[words(TEXTS["d"]), words(TEXTS["c"])]), {})
    assert before == pytest.approx(await words_told(other), abs=1e-5)
    await again.close()


async def test_a_graph_that_is_emptied_while_it_is_read_is_empty():
    pages = Pages(labels(n="old"))
    history = TagHistory(pages.scan, told_by_nobody, DIMENSION, shared=False)
    reading = asyncio.create_task(history.current())
    await pages.reading.wait()
    history.forget()
    await history.put(labels(m="new"), {})
    pages.go.set()
    await reading
    assert await uses(history) == {"new": 1}


async def test_a_first_reading_that_fails_is_an_error_and_the_next_search_reads_again():
    pages = Pages(DependencyDownError("Milvus", "gone"))
    pages.go.set()
    history = TagHistory(pages.scan, told_by_nobody, DIMENSION, shared=True)
    with pytest.raises(DependencyDownError):
        await history.current()
    pages.pages = [labels(n="a")]
    assert await uses(history) == {"a": 1}


async def test_a_later_reading_that_fails_leaves_the_last_one_in_place():
    pages = Pages(labels(n="a"))
    pages.go.set()
    history = TagHistory(pages.scan, told_by_nobody, DIMENSION, shared=True)
    assert await uses(history) == {"a": 1}
    history._due = 0.0
    pages.pages = [labels(k="a"), DependencyDownError("Milvus", "gone")]
    assert await uses(history) == {"a": 1}
    with pytest.raises(DependencyDownError):
        await history._reading
    await history.put(labels(m="a"), {})
    assert await uses(history) == {"a": 2}
    await history.close()


async def test_a_graph_that_nobody_else_writes_to_is_read_again_only_where_a_write_ended_half_way():
    pages = Pages(labels(n="a"))
    pages.go.set()
    history = TagHistory(pages.scan, told_by_nobody, DIMENSION, shared=False)
    assert await uses(history) == {"a": 1}
    pages.pages = [labels(n="b")]
    history._due = 0.0
    assert await uses(history) == {"a": 1}
    assert history._reading.done()
    with pytest.raises(DependencyDownError):
        async with history.telling():
            raise DependencyDownError("Milvus", "gone")
    history._due = time.monotonic() + 60.0
    assert await uses(history) == {"a": 1}
    assert history._reading.done()
    history._due = 0.0
    await history.current()
    await history._reading
    assert await uses(history) == {"b": 1}
    history._due = 0.0
    await history.current()
    assert history._reading.done()


@pytest.mark.parametrize("tags", [(), ("y",)])
async def test_what_was_written_but_not_told_is_counted_once_the_graph_is_read_again(graph, tags):
    async def change():
        if tags:
            await graph.write_notes(
                [row("a", *map(tagged, tags), vector=vector_of("another"), text=TEXTS["d"])]
            )
        else:
            await graph.delete_notes([key("a")])

    await graph.warm_up()
    await graph.write_notes([row(each, tagged("x"), text=TEXTS[each]) for each in "abc"])
    put, is_written = graph._history.put, asyncio.Event()

    async def never(*_):
        is_written.set()
        await asyncio.Event().wait()

    graph._history.put = never
    attempt = asyncio.create_task(change())
    await is_written.wait()
    attempt.cancel()
    await asyncio.wait([attempt])
    graph._history.put = put
    await change()  # the attempt after that one takes away what stands there, not what was counted
    graph._history._due = 0.0
    await graph.warm_up()
    await graph._history._reading
    expected = told()
    await expected.put(labels(b="x", c="x"), {})
    if tags:
        another = [key("a")], [frozenset(tags)], vector_of("another")[None], [words(TEXTS["d"])]
        await expected.put(Labels(*another), {})
    for tag_id in "xy":
        assert await likeness_of(graph._history, "b", tag_id) == pytest.approx(
            await likeness_of(expected, "b", tag_id), abs=1e-5
        )
    assert await words_told(graph._history) == pytest.approx(await words_told(expected), abs=1e-5)


async def test_while_labels_pour_in_the_last_models_serve_for_a_while():
    history = told()
    await history.put(labels(a="x"), {})
    first = await history.current()
    history._told._rested = float("inf")
    await history.put(labels(b="y"), {})
    later = await history.current()
    assert later.discriminant is first.discriminant
    assert later.wording is first.wording
    assert await uses(history) == {"x": 1, "y": 1}
    history._told._rested = 0.0
    last = await history.current()
    assert last.discriminant is not first.discriminant
    assert last.wording is not first.wording


async def test_nothing_is_counted_while_models_are_made_though_whoever_asked_for_them_was_cancelled(
    monkeypatch,
):
    history, making, go = told(), threading.Event(), threading.Event()
    await history.put(labels(a="x"), {})
    sums = history._told._sums
    models = sums.models

    def dawdle():
        making.set()
        go.wait()
        return models()

    monkeypatch.setattr(sums, "models", dawdle)
    asking = asyncio.create_task(history.current())
    await asyncio.to_thread(making.wait)
    asking.cancel()
    await asyncio.wait([asking])
    telling = asyncio.create_task(history.put(labels(b="y"), {}))
    await asyncio.sleep(0.01)
    was_counted = telling.done()
    go.set()
    await telling
    assert not was_counted
    assert await uses(history) == {"x": 1, "y": 1}


async def test_a_stored_graph_and_one_in_memory_find_a_note_alike(graph):
    rows = [row(f"n{number}", tagged(f"t{number % 3}")) for number in range(12)]
    await graph.write_notes(rows)
    await graph.write_notes([row("n0", tagged("t1"), vector=vector_of("another text"))])
    await graph.delete_notes([key("n1")])
    kept = [("n0", "t1", vector_of("another text"))]
    kept += [(f"n{number}", f"t{number % 3}", vector_of(f"n{number}")) for number in range(2, 12)]
    memory = MemoryGraph(
        tag_ids=[],
        tag_vectors=np.zeros((0, DIMENSION), dtype=np.float32),
        note_ids=[note_id for note_id, _, _ in kept],
        note_vectors=np.stack([vector for _, _, vector in kept]),
        edges=[(Edge(tag_id, 1.0, Provenance.IMPORT),) for _, tag_id, _ in kept],
    )
    asked = vector_of("n2")[None]
    (stored,), (exact,) = [await each.search(asked, tags=0, notes=3, segments=0) for each in (graph, memory)]
    names = [(f"t{number}",) for number in range(3)]
    assert stored.likeness.columns(names) == pytest.approx(exact.likeness.columns(names), abs=1e-4)


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

    monkeypatch.setattr(graph._history, "_scan", never)
    assert await uses_of(graph)
