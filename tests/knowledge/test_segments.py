from streamproc.events.segment import SegmentChange, SegmentKind
from streamproc.knowledge.segments import Segments
from streamproc.knowledge.snapshot import Knowledge


def passage(segment_id: str, text: str = "a rule") -> SegmentChange:
    return SegmentChange(segment_id=segment_id, kind=SegmentKind.RULE, text=text, tag_ids=("a",))


def test_the_last_state_of_a_passage_counts_and_a_removed_one_is_gone():
    subject = Segments()
    subject.apply(passage("s", "first"), 0)
    subject.apply(passage("s", "second"), 1)
    subject.apply(passage("t"), 2)
    subject.apply("t", 3)
    subject.apply("never there", 4)
    snapshot = subject.snapshot()
    assert snapshot.get("s").text == "second"
    assert (snapshot.get("t"), len(snapshot.by_id), snapshot.offset) == (None, 1, 4)


def test_a_replayed_record_is_passed_over():
    subject = Segments()
    subject.apply(passage("s"), 0)
    subject.apply("s", 1)
    subject.apply(passage("s"), 0)
    assert subject.snapshot().get("s") is None
    subject.pass_over(9)
    assert subject.offset == 9


def test_one_snapshot_holds_all_that_people_published_and_how_far_it_was_read():
    knowledge = Knowledge()
    before = knowledge.snapshot()
    knowledge.segments.apply(passage("s"), 3)
    after = knowledge.snapshot()
    assert (before.applied.tags, before.applied.knowledge, before.applied.labels) == (-1, -1, ())
    assert (after.applied.knowledge, after.segments.get("s").text) == (3, "a rule")
    assert before.segments.get("s") is None
