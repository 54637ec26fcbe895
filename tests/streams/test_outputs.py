import pytest

from streamproc.errors import OutputTooLargeError
from streamproc.events.codec import Limits
from streamproc.events.note import Note
from streamproc.events.position import Source, SourcePosition
from streamproc.events.record import InputRecord
from streamproc.events.tagged import AppliedOffsets
from streamproc.events.topics import TopicNames
from streamproc.observability.clock import OutageClock, SystemClock
from streamproc.pipeline.outcome import SourcedNote
from streamproc.streams.breaker import Dependencies
from streamproc.streams.dead_letter import read_dead_letter
from streamproc.streams.failure import FailurePolicy
from streamproc.streams.outputs import Outputs
from streamproc.streams.tagging import TaggingWork
from tests.streams.fixed import FixedPipeline

SOURCE = Source(SourcePosition("p.notes.new", 1, 7), 1_700_000_000_000)
NAMES = TopicNames("p.")


def outcome(text="a text"):
    return FixedPipeline(None).outcome(
        SourcedNote(Note(note_id="n", title="T", text=text), SOURCE), AppliedOffsets()
    )


def test_a_tagged_note_is_told_to_consumers_and_to_the_graph():
    tagged, graph = Outputs(NAMES, 1 << 20, write_back=True).tagged(outcome())
    assert (tagged.topic, tagged.key) == ("p.notes.tagged", b"n")
    assert (graph.topic, graph.key) == ("p.graph.notes", b'["n","stream"]')
    for record in (tagged, graph):
        headers = dict(record.headers)
        assert headers["ce_sourceposition"] == b"p.notes.new/1/7"
        assert headers["ce_time"] == b"2023-11-14T22:13:20.000Z"
    assert dict(tagged.headers)["ce_id"] != dict(graph.headers)["ce_id"]


def test_the_same_outcome_gives_the_same_bytes():
    outputs = Outputs(NAMES, 1 << 20, write_back=True)
    assert outputs.tagged(outcome()) == outputs.tagged(outcome())


def test_without_write_back_only_consumers_are_told():
    assert len(Outputs(NAMES, 1 << 20, write_back=False).tagged(outcome())) == 1


def test_a_note_that_adds_nothing_any_more_takes_back_its_row():
    said = outcome()
    _, graph = Outputs(NAMES, 1 << 20, write_back=True).tagged(type(said)(said.source, said.tagged, None))
    assert graph.value is None


def test_no_output_is_made_when_one_of_them_does_not_fit():
    with pytest.raises(OutputTooLargeError, match=r"p\.graph\.notes"):
        Outputs(NAMES, 1000, write_back=True).tagged(outcome("word " * 200))


def test_a_deletion_reaches_every_key():
    records = Outputs(NAMES, 1 << 20, write_back=True).deleted("n", SOURCE)
    assert [(record.topic, record.key, record.value) for record in records] == [
        ("p.notes.tagged", b"n", None),
        ("p.graph.notes", b'["n","stream"]', None),
        ("p.graph.notes", b'["n","import"]', None),
    ]
    assert len({dict(record.headers)["ce_id"] for record in records}) == 3


async def test_a_note_whose_outputs_do_not_fit_is_a_dead_letter_and_none_of_them_is_sent():
    class Knowledge:
        def snapshot(self):
            return self

        applied = AppliedOffsets()

    clock = SystemClock()
    policy = FailurePolicy("tagging", Dependencies((), OutageClock(clock), clock), clock, 5, 1)
    work = TaggingWork(FixedPipeline(Knowledge()), policy, Outputs(NAMES, 1500, write_back=True), Limits())
    value = b'{"note_id": "n", "title": "T", "text": "%b"}' % (b"word " * 200)
    (prepared,) = await work.prepare([InputRecord(SOURCE, b"n", value)])
    (output,) = prepared.outputs
    letter = read_dead_letter(output.key, output.value, output.headers)
    assert (letter.exception, letter.stage) == ("OutputTooLargeError", "encode")
    assert output.topic == "p.notes.dead"
