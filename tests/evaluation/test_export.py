"""Only what people said becomes a label."""

from datetime import UTC, datetime

import pytest

from streamproc.evaluation.export import Topics, collect
from streamproc.events.codec import content_hash, encode, graph_note_key
from streamproc.events.graph import GraphNote, GraphTag, Origin, Provenance
from streamproc.events.label import Judgement
from streamproc.events.note import Note
from streamproc.events.position import Source, SourcePosition
from streamproc.events.record import InputRecord
from streamproc.events.tag import TagChange, TagStatus

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Log:
    """Records of the four topics, in the order in which they were written."""

    def __init__(self):
        self.records = {"tags": [], "labels": [], "graph": [], "notes": []}
        for name in ("tea", "coffee", "milk"):
            self.tag(name)

    def write(self, topic, key, value):
        position = SourcePosition(topic, 0, len(self.records[topic]))
        self.records[topic].append(InputRecord(Source(position, 0), key, value))

    def tag(self, name, **state):
        self.write("tags", name.encode(), encode(TagChange(tag_id=name, name=name, changed_at=NOW, **state)))

    def judge(self, note_id, tag_id, correct, annotator=None):
        word = Judgement(note_id=note_id, tag_id=tag_id, correct=correct, annotator=annotator)
        self.write("labels", note_id.encode(), encode(word))

    def graph(self, note_id, origin=Origin.STREAM, text="a cup", **edges):
        tags = tuple(
            GraphTag(tag_id=tag_id, weight=0.9, provenance=Provenance(provenance))
            for tag_id, provenance in edges.items()
        )
        note = Note(note_id=note_id, text=text, tags=("by the author",))
        row = GraphNote(
            note=note,
            origin=origin,
            content_hash=content_hash(note),
            source=SourcePosition("notes.new", 0, 0),
            encoder="e",
            tags=tags,
        )
        self.write("graph", graph_note_key(note_id, origin), encode(row))

    async def export(self):
        async def whole(topic):
            yield self.records[topic]

        return await collect(Topics(whole("tags"), whole("labels"), whole("graph"), whole("notes")))

    async def labels(self):
        return {
            each.note.note_id: (set(each.tags), set(each.rejected)) for each in (await self.export()).examples
        }


@pytest.fixture
def log():
    return Log()


async def test_imported_and_authors_edges_are_labels_and_models_edges_are_not(log):
    log.graph("a", tea="import", coffee="model")
    log.graph("b", milk="author")
    log.graph("c", tea="model")
    assert await log.labels() == {"a": ({"tea"}, set()), "b": ({"milk"}, set())}
    assert (await log.export()).unlabelled == 1


async def test_a_judgement_overrules_what_the_author_said(log):
    log.graph("a", tea="author", coffee="model")
    log.judge("a", "tea", correct=False)
    log.judge("a", "milk", correct=True)
    assert await log.labels() == {"a": ({"milk"}, {"tea"})}


async def test_a_tag_of_a_model_that_a_person_confirmed_is_a_label(log):
    log.graph("a", tea="model")
    log.judge("a", "tea", correct=True)
    assert await log.labels() == {"a": ({"tea"}, set())}


async def test_a_note_with_nothing_but_a_rejection_is_kept(log):
    log.graph("a", tea="model")
    log.judge("a", "tea", correct=False)
    assert await log.labels() == {"a": (set(), {"tea"})}


async def test_the_last_record_of_a_note_counts_and_a_tombstone_removes_it(log):
    log.graph("a", tea="import")
    log.graph("a", coffee="import")
    log.graph("b", tea="import")
    log.write("graph", graph_note_key("b", Origin.STREAM), None)
    assert await log.labels() == {"a": ({"coffee"}, set())}


async def test_both_rows_of_a_note_speak_and_the_streamed_text_is_taken(log):
    log.graph("a", Origin.IMPORT, text="as imported", tea="import")
    log.graph("a", Origin.STREAM, text="as streamed", coffee="author")
    (example,) = (await log.export()).examples
    assert example.tags == ("coffee", "tea")
    assert example.note.text == "as streamed"
    assert example.note.tags == ()


async def test_labels_follow_merges_and_vanish_with_their_tag(log):
    log.graph("a", tea="import", milk="import")
    log.graph("b", milk="import")
    log.tag("tea", status=TagStatus.MERGED, merged_into="coffee")
    log.tag("milk", status=TagStatus.DEPRECATED)
    assert await log.labels() == {"a": ({"coffee"}, set())}
    export = await log.export()
    assert [tag.tag_id for tag in export.tags] == ["coffee"]
    assert export.unlabelled == 1


async def test_the_word_on_a_tag_itself_counts_before_that_on_one_merged_into_it(log):
    log.graph("a")
    log.judge("a", "coffee", correct=False)
    log.judge("a", "tea", correct=True)
    log.tag("tea", status=TagStatus.MERGED, merged_into="coffee")
    assert await log.labels() == {"a": (set(), {"coffee"})}


async def test_a_judged_note_outside_the_graph_is_read_where_it_was_published(log):
    log.judge("a", "tea", correct=True)
    log.judge("gone", "tea", correct=True)
    log.judge("deleted", "tea", correct=True)
    log.write("notes", b"a", encode(Note(note_id="a", text="hot", tags=("coffee",))))
    log.write("notes", b"deleted", encode(Note(note_id="deleted", text="cold")))
    log.write("notes", b"deleted", None)
    assert await log.labels() == {"a": ({"tea"}, set())}
    assert (await log.export()).textless == 2


async def test_records_that_nobody_can_read_are_counted_and_passed_over(log):
    log.write("labels", b"a", b"{")
    log.write("graph", b"no key", b"{}")
    log.graph("a", tea="import")
    export = await log.export()
    assert (len(export.examples), export.passed_over) == (1, 2)
