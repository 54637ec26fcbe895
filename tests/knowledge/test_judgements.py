from hypothesis import given
from hypothesis import strategies as st

from streamproc.events.label import Judgement
from streamproc.knowledge.judgements import Judgements

WORDS = st.lists(
    st.builds(
        Judgement,
        note_id=st.sampled_from(["n", "m"]),
        tag_id=st.sampled_from(["a", "b"]),
        correct=st.booleans(),
        annotator=st.sampled_from([None, "ann", "bob", "cyd"]),
    ),
    max_size=30,
)


def said(tag_id: str, correct: bool, annotator: str | None = None, note_id: str = "n") -> Judgement:
    return Judgement(note_id=note_id, tag_id=tag_id, correct=correct, annotator=annotator)


def judged(*words: Judgement) -> Judgements:
    subject = Judgements()
    for offset, word in enumerate(words):
        subject.apply(word, 0, offset)
    return subject


def verdicts(words, note_id):
    """The rule in plain words: last word per annotator, majority, between equals the newest."""
    last = {}
    for order, word in enumerate(words):
        if word.note_id == note_id:
            last[word.tag_id, word.annotator] = (order, word.correct)
    found = {}
    for tag_id in {tag_id for tag_id, _ in last}:
        votes = sorted(vote for (tag, _), vote in last.items() if tag == tag_id)
        yes = sum(correct for _, correct in votes)
        found[tag_id] = votes[-1][1] if 2 * yes == len(votes) else 2 * yes > len(votes)
    return found


@given(WORDS)
def test_the_last_word_of_each_annotator_counts_and_the_majority_decides(words):
    snapshot = judged(*words).snapshot()
    for note_id in ("n", "m", "unknown"):
        assert snapshot.of(note_id) == verdicts(words, note_id)


@given(WORDS, st.integers(0, 30))
def test_a_replay_changes_nothing(words, start):
    subject = judged(*words)
    before = {note_id: dict(subject.snapshot().of(note_id)) for note_id in ("n", "m")}
    for offset, word in enumerate(words[:start]):
        subject.apply(word, 0, offset)
    assert {note_id: dict(subject.snapshot().of(note_id)) for note_id in ("n", "m")} == before


def test_a_person_may_change_their_mind():
    assert judged(said("a", True, "ann"), said("a", False, "ann")).snapshot().of("n") == {"a": False}


def test_between_equals_the_newest_word_counts():
    assert judged(said("a", False, "ann"), said("a", True, "bob")).snapshot().of("n") == {"a": True}
    assert judged(said("a", True, "bob"), said("a", False, "ann")).snapshot().of("n") == {"a": False}


def test_a_snapshot_never_changes():
    subject = judged(said("a", True))
    before = subject.snapshot()
    subject.apply(said("a", False), 0, 1)
    subject.apply(said("new", True), 0, 2)
    assert before.of("n") == {"a": True}
    assert before.offsets == (0,)


def test_offsets_are_kept_by_partition_and_unread_partitions_are_minus_one():
    subject = Judgements()
    subject.apply(said("a", True), 2, 41)
    subject.pass_over(0, 7)
    assert subject.offsets == subject.snapshot().offsets == (7, -1, 41)


def test_a_note_with_one_judgement_takes_some_200_bytes():
    import tracemalloc

    tracemalloc.start()
    subject = Judgements()
    for number in range(20_000):
        subject.apply(said(f"t{number % 500}", True, "ann", note_id=f"note-{number:08}"), 0, number)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(subject.snapshot()) == 20_000
    assert used / 20_000 < 260


@given(WORDS)
def test_it_is_known_on_how_many_notes_a_tag_was_confirmed(words):
    snapshot = judged(*words).snapshot()
    for tag_id in ("a", "b", "unknown"):
        notes = [verdicts(words, note_id).get(tag_id, False) for note_id in ("n", "m")]
        assert snapshot.confirmed(tag_id) == sum(notes)


def test_a_snapshot_tells_which_notes_were_judged_since_an_earlier_one():
    subject = judged(said("a", True), said("a", True, note_id="m"))
    earlier = subject.snapshot()
    assert earlier.since(0) == {"n", "m"}
    subject.apply(said("b", False, note_id="k"), 0, 2)
    subject.apply(said("a", False, note_id="m"), 0, 3)
    subject.apply(said("a", True), 0, 3)  # a replay
    later = subject.snapshot()
    assert later.since(earlier.spoken) == {"k", "m"}
    assert later.since(later.spoken) == earlier.since(earlier.spoken) == frozenset()
