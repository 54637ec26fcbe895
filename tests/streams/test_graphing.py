"""The agents that write the graph: what dies still counts as applied, and neighbours are written."""

from streamproc.errors import DecodeError, TransientError
from streamproc.events.codec import encode, graph_note_key
from streamproc.events.graph import Origin
from streamproc.events.note import Note
from streamproc.events.position import Source, SourcePosition
from streamproc.events.record import InputRecord
from streamproc.events.tagged import AppliedOffsets
from streamproc.events.topics import TopicNames
from streamproc.graph.writer import NotePlan, Rejected, last_offsets
from streamproc.observability.clock import OutageClock, SystemClock
from streamproc.pipeline.outcome import SourcedNote
from streamproc.streams.backoff import Backoff
from streamproc.streams.breaker import Dependencies
from streamproc.streams.dead_letter import read_dead_letter
from streamproc.streams.failure import FailurePolicy
from streamproc.streams.graphing import GraphingWork
from streamproc.streams.outputs import Outputs
from streamproc.streams.repository import RepositoryWork
from tests.streams.fixed import FixedPipeline

OUTPUTS = Outputs(TopicNames(), 1 << 20, write_back=True)


def policy():
    clock = SystemClock()
    return FailurePolicy(
        "graph", Dependencies((), OutageClock(clock), clock), clock, 5, 2, Backoff(0.001, 0.001)
    )


def record(offset, note_id=None):
    source = Source(SourcePosition("graph.notes", 0, offset), 0)
    note = Note(note_id=note_id or f"n{offset}", title="T")
    graph_note = FixedPipeline(None).outcome(SourcedNote(note, source), AppliedOffsets()).graph_note
    return InputRecord(source, graph_note_key(note.note_id, Origin.STREAM), encode(graph_note))


class Writer:
    """Fails on demand; ``applied`` is what the graph was told, in order."""

    def __init__(self, fails_to_plan=(), fails_to_apply=(), rejects=()):
        self.fails_to_plan = set(fails_to_plan)
        self.fails_to_apply = set(fails_to_apply)
        self.rejects = set(rejects)
        self.applied = []
        self.rows = set()

    async def plan(self, records):
        offsets = {each.source.position.offset for each in records}
        if offsets & self.fails_to_plan:
            raise RuntimeError("cannot be planned")
        rejected = [
            Rejected(each, DecodeError("not ours"))
            for each in records
            if each.source.position.offset in self.rejects
        ]
        return NotePlan((), tuple(sorted(offsets - self.rejects)), (), last_offsets(records), tuple(rejected))

    async def apply(self, plan):
        if set(plan.rows) & self.fails_to_apply:
            raise RuntimeError("cannot be applied")
        self.rows |= set(plan.rows)
        self.applied.append(plan.offsets["graph.notes", 0])


async def carried(writer, count=4):
    work = GraphingWork(writer, policy(), OUTPUTS)
    records = [record(offset) for offset in range(count)]
    prepared = await work.prepare(records)
    died = await work.settle(prepared)
    letters = [
        read_dead_letter(each.key, each.value, each.headers)
        for item in (*prepared, *died)
        for each in item.outputs
        if each.topic == "notes.dead"
    ]
    return [(letter.source.position.offset, letter.exception) for letter in letters]


async def test_a_batch_is_applied_at_once():
    writer = Writer()
    assert await carried(writer) == []
    assert writer.applied == [3]
    assert writer.rows == {0, 1, 2, 3}


async def test_a_record_that_cannot_be_planned_dies_alone_and_counts_as_applied():
    for bad in range(4):
        writer = Writer(fails_to_plan=[bad])
        assert await carried(writer) == [(bad, "RepeatedFailureError")]
        assert writer.rows == {0, 1, 2, 3} - {bad}
        assert writer.applied[-1] == 3


async def test_a_record_that_cannot_be_written_dies_alone_and_counts_as_applied():
    for bad in range(4):
        writer = Writer(fails_to_apply=[bad])
        assert await carried(writer) == [(bad, "RepeatedFailureError")]
        assert writer.rows == {0, 1, 2, 3} - {bad}
        assert writer.applied[-1] == 3


async def test_a_record_that_is_not_ours_dies_at_once():
    writer = Writer(rejects=[2])
    assert await carried(writer) == [(2, "DecodeError")]
    assert writer.rows == {0, 1, 3}
    assert writer.applied == [3]


async def test_a_tag_that_cannot_be_written_dies_alone_and_counts_as_applied():
    class Tags:
        def __init__(self):
            self.written = []
            self.applied = []
            self.blinked = False

        async def apply_tags(self, changes, offsets):
            if any(change.tag_id == "bad" for change in changes):
                raise RuntimeError("no")
            if not changes and not self.blinked:
                self.blinked = True
                raise TransientError("the graph blinked after the record had died")
            self.written += [change.tag_id for change in changes]
            self.applied.append(offsets["tags.changes", 0])

        async def tag_rejection(self, offset):
            return None

    def change(offset, tag_id):
        value = b'{"tag_id": "%b", "name": "x", "changed_at": "2026-01-01T00:00:00Z"}' % tag_id
        return InputRecord(Source(SourcePosition("tags.changes", 0, offset), 0), tag_id, value)

    tags = Tags()
    work = RepositoryWork(tags, tags, policy(), OUTPUTS)
    prepared = await work.prepare([change(0, b"a"), change(1, b"b"), change(2, b"bad")])
    (died,) = await work.settle(prepared)
    assert died.record.source.position.offset == 2
    assert tags.written == ["a", "b"]
    assert tags.blinked
    assert tags.applied[-1] == 2
