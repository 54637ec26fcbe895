from collections.abc import AsyncIterator, Sequence

from streamproc.events.codec import encode
from streamproc.events.record import InputRecord
from streamproc.events.segment import SegmentChange, SegmentKind
from streamproc.events.tag import TagChange, TagStatus
from streamproc.graph.rebuild import RebuildReport, rebuild
from streamproc.graph.rows import stored_note
from streamproc.graph.store import Counts
from streamproc.graph.writer import GraphWriter
from tests.graph.material import WordEncoder, graph_note, record, row, source, tagged, tombstone, vector_of


async def batches(*records: InputRecord, size: int = 2) -> AsyncIterator[Sequence[InputRecord]]:
    for start in range(0, len(records), size):
        yield records[start : start + size]


def tag_record(offset: int, tag_id: str, **fields: object) -> InputRecord:
    change = TagChange(tag_id=tag_id, name=tag_id, changed_at="2026-01-01T00:00:00Z", **fields)
    return InputRecord(source(offset, "tags.changes"), tag_id.encode(), encode(change))


def segment_record(offset: int, segment_id: str) -> InputRecord:
    change = SegmentChange(segment_id=segment_id, kind=SegmentKind.RULE, text=segment_id)
    return InputRecord(source(offset, "knowledge.changes"), segment_id.encode(), encode(change))


async def test_a_rebuilt_graph_holds_what_the_topics_say_and_nothing_else(graph):
    writer = GraphWriter(graph, WordEncoder())
    await graph.write_notes([row("left over")])
    await graph.write_offsets({("somewhere", 9): 9})
    reports: list[RebuildReport] = []
    last = await rebuild(
        writer,
        tags=batches(
            tag_record(0, "a"),
            tag_record(1, "b"),
            InputRecord(source(2, "tags.changes"), b"c", b"{"),
            tag_record(3, "b", status=TagStatus.MERGED, merged_into="unknown"),
            tag_record(4, "b", status=TagStatus.MERGED, merged_into="a"),
        ),
        knowledge=batches(
            segment_record(0, "s"),
            segment_record(1, "gone"),
            InputRecord(source(2, "knowledge.changes"), b"gone", None),
        ),
        notes=batches(
            record(0, graph_note("n", tagged("a"))),
            record(1, graph_note("m")),
            tombstone(2, "m"),
            record(4, graph_note("n", tagged("b"))),
        ),
        progress=reports.append,
    )
    assert last == reports[-1] == RebuildReport(tags=5, segments=3, notes=4, passed_over=2)
    assert await graph.counts() == Counts(notes=1, tags=1, segments=1)
    assert await graph.offsets() == {
        ("tags.changes", 0): 4,
        ("knowledge.changes", 0): 2,
        ("graph.notes", 0): 4,
    }
    (note,) = (await graph.notes(["stream:n"])).values()
    assert [tag.tag_id for tag in note.tags] == ["b"]


async def test_a_rebuild_stores_the_words_of_rows_that_were_written_without(graph):
    note = graph_note("n", tagged("a"), text="Oolong, steeped twice")
    await graph.write_notes([row("n", tagged("a"))])
    assert [stored.words for stored in (await graph.notes(["stream:n"])).values()] == [""]
    await rebuild(
        GraphWriter(graph, WordEncoder()),
        tags=batches(),
        knowledge=batches(),
        notes=batches(record(0, note)),
        progress=lambda _: None,
    )
    assert list((await graph.notes(["stream:n"])).values()) == [stored_note(note)]
    (hits,) = await graph.search(vector_of("any")[None], tags=0, notes=1, segments=0)
    assert hits.wording.notes == 1


async def test_rebuilding_twice_gives_the_same_rows(graph):
    writer = GraphWriter(graph, WordEncoder())
    found = []
    for _ in range(2):
        await rebuild(
            writer,
            tags=batches(),
            knowledge=batches(),
            notes=batches(
                *(record(offset, graph_note(f"n{offset}", tagged("a"))) for offset in range(20)), size=7
            ),
            progress=lambda _: None,
        )
        found.append(
            [
                (row.note, row.vector.tolist())
                for page in [page async for page in graph.all_notes()]
                for row in page
            ]
        )
    assert found[0] == found[1]
    assert len(found[0]) == 20
