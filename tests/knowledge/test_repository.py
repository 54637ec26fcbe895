import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import InvalidChangeError
from streamproc.events.tag import TagChange, TagPolicy, TagStatus
from streamproc.knowledge.repository import Repository

IDS = st.sampled_from("abcde")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def tag(tag_id: str, name: str | None = None, **fields: object) -> TagChange:
    return TagChange(tag_id=tag_id, name=name or f"name of {tag_id}", changed_at=NOW, **fields)


def merged(tag_id: str, into: str | None) -> TagChange:
    return tag(tag_id, status=TagStatus.MERGED, merged_into=into)


def deprecated(tag_id: str) -> TagChange:
    return tag(tag_id, status=TagStatus.DEPRECATED)


def repository(*changes: TagChange) -> Repository:
    subject = Repository()
    for offset, change in enumerate(changes):
        subject.apply(change, offset)
    return subject


def contents(subject: Repository):
    snapshot = subject.snapshot()
    return {change.tag_id: change for change in snapshot}, snapshot.offset


CHANGES = st.lists(
    st.one_of(
        IDS.map(tag),
        IDS.map(deprecated),
        st.builds(merged, IDS, st.none() | IDS),
        st.builds(tag, IDS, st.sampled_from(["same", "other"])),
        st.builds(lambda tag_id: tag(tag_id, policy=TagPolicy.MANUAL_ONLY), IDS),
    ),
    max_size=25,
)


@given(CHANGES)
def test_every_id_resolves_to_an_active_tag_or_to_none_and_never_in_circles(changes):
    subject = Repository()
    subject.load((change, offset) for offset, change in enumerate(changes))
    snapshot = subject.snapshot()
    for tag_id in "abcde":
        found = snapshot.resolve(tag_id)
        assert found is None or found.status is TagStatus.ACTIVE


@given(CHANGES, st.data())
def test_replaying_any_part_of_the_log_changes_nothing(changes, data):
    subject = Repository()
    subject.load((change, offset) for offset, change in enumerate(changes))
    before = contents(subject), dict(subject.rejections)
    start = data.draw(st.integers(0, len(changes)))
    subject.load((change, offset) for offset, change in enumerate(changes[:start]))
    subject.load((change, offset) for offset, change in enumerate(changes))
    assert (contents(subject), dict(subject.rejections)) == before


@given(CHANGES)
def test_two_workers_that_read_the_same_log_have_the_same_repository(changes):
    one, other = Repository(), Repository()
    one.load((change, offset) for offset, change in enumerate(changes))
    for offset, change in enumerate(changes):
        other.load([(change, offset)])
        other.snapshot()  # looking in between changes nothing
    assert contents(one) == contents(other)
    assert one.rejections == other.rejections
    names = [f"name of {tag_id}" for tag_id in "abcde"] + ["same", "other"]
    assert [one.snapshot().named(name) for name in names] == [other.snapshot().named(name) for name in names]


@given(CHANGES)
def test_exactly_the_tags_that_recall_may_propose_are_found_by_their_words(changes):
    subject = Repository()
    subject.load((change, offset) for offset, change in enumerate(changes))
    snapshot = subject.snapshot()
    found = snapshot.lexical.match("", " . ".join(sorted({change.name for change in snapshot}))).exact
    assert set(found) == {
        change.tag_id
        for change in snapshot
        if change.status is TagStatus.ACTIVE and change.policy is not TagPolicy.MANUAL_ONLY
    }


def test_merges_chain_and_are_undone_exactly():
    subject = repository(tag("a"), tag("b"), tag("c"), merged("a", "b"), merged("b", "c"))
    assert subject.snapshot().resolve("a").tag_id == "c"
    subject.apply(tag("b"), 5)
    assert subject.snapshot().resolve("a").tag_id == "b"
    subject.apply(tag("a"), 6)
    fresh = repository(tag("a"), tag("b"), tag("c"))
    assert contents(subject)[0] == contents(fresh)[0]
    assert subject.snapshot().lexical.match("", "name of a").exact.keys() == {"a"}


@given(CHANGES)
def test_the_ids_merged_into_a_tag_are_those_that_lead_to_it(changes):
    subject = Repository()
    subject.load((change, offset) for offset, change in enumerate(changes))
    snapshot = subject.snapshot()
    for tag_id in "abcde":
        target = snapshot.resolve(tag_id)
        if target is not None and target.tag_id != tag_id:
            assert tag_id in snapshot.merged(target.tag_id)
        for each in snapshot.merged(tag_id):
            assert snapshot.get(each).status is TagStatus.MERGED
            assert snapshot.resolve(each) == snapshot.resolve(tag_id)
        assert len(set(snapshot.merged(tag_id))) == len(snapshot.merged(tag_id))


def test_a_tag_merged_into_one_that_is_deprecated_later_stands_for_nothing_until_that_returns():
    subject = repository(tag("a"), tag("b"), merged("a", "b"), deprecated("b"))
    assert subject.snapshot().resolve("a") is None
    subject.apply(tag("b"), 4)
    assert subject.snapshot().resolve("a").tag_id == "b"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (merged("a", None), "no merged_into"),
        (merged("a", "a"), "circle: a -> a"),
        (merged("a", "unknown"), "no such tag"),
        (merged("a", "gone"), "deprecated"),
        (merged("b", "c"), "circle: b -> c -> b"),
        (tag("a", merged_into="b"), "has merged_into 'b' but status 'active'"),
    ],
)
def test_a_change_that_contradicts_the_repository_is_refused_and_leaves_it_as_it_was(change, complaint):
    subject = repository(tag("a"), tag("b"), tag("c"), tag("gone"), merged("c", "b"), deprecated("gone"))
    before, _ = contents(subject)
    with pytest.raises(InvalidChangeError, match=complaint):
        subject.apply(change, 6)
    assert contents(subject) == (before, 6)
    assert complaint in subject.rejections[6]


def test_a_name_leads_to_its_active_tag_in_nfc_and_through_merges():
    subject = repository(tag("1", "Café"), tag("2", "Coffee"), merged("1", "2"))
    subject = repository(
        tag("1", "Café"), tag("2", "Coffee"), tag("1", "Café", status=TagStatus.MERGED, merged_into="2")
    )
    assert subject.snapshot().named("Cafe\u0301 ").tag_id == "2"
    assert subject.snapshot().named("café") is None, "exact: case counts"


def test_of_two_bearers_of_a_name_the_active_one_comes_before_the_merged_one():
    subject = repository(
        tag("z", "Python"),
        tag("snake", "Snake"),
        tag("a", "Python"),
        tag("a", "Python", status=TagStatus.MERGED, merged_into="snake"),
    )
    assert subject.snapshot().named("Python").tag_id == "z"


def test_a_renamed_tag_is_not_found_by_its_former_name():
    subject = repository(tag("t", "Twitter"), tag("t", "X"))
    assert subject.snapshot().named("Twitter") is None
    assert subject.snapshot().named("X").tag_id == "t"


def test_a_snapshot_never_changes():
    subject = repository(tag("a"))
    before = subject.snapshot()
    subject.apply(deprecated("a"), 1)
    subject.apply(tag("b"), 2)
    assert (before.resolve("a").tag_id, before.resolve("b"), before.offset, len(before)) == ("a", None, 0, 1)
    assert before.lexical.match("", "name of a").exact.keys() == {"a"}


def test_a_record_that_says_nothing_moves_the_offset_on():
    subject = repository(tag("a"))
    subject.pass_over(7)
    assert subject.offset == 7
    subject.pass_over(3)
    assert subject.offset == 7


def test_a_hundred_thousand_tags_load_in_seconds_and_a_snapshot_takes_no_time():
    changes = [tag(f"t{number}", f"word{number % 977} subject{number}") for number in range(100_000)]
    subject = Repository()
    started = time.process_time()
    subject.load((change, offset) for offset, change in enumerate(changes))
    assert time.process_time() - started < 20, "measured: about 2 s; the rest is room for a busy machine"
    subject.snapshot()
    started = time.process_time()
    for offset in range(100):
        subject.apply(tag(f"t{offset}"), 100_000 + offset)
        subject.snapshot()
    assert (time.process_time() - started) / 100 < 0.01, "seconds a change with its snapshot"
