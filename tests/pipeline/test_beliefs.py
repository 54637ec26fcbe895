"""What models' edges a note gets in the graph."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.config import KindRule
from streamproc.events.tag import TagChange, TagPolicy, TagStatus
from streamproc.pipeline.beliefs import MOST_UNEMITTED, beliefs
from streamproc.pipeline.policy import Policy, Scored, decide


def candidate(name, confidence, *, kind="topic", judged=None, **tag):
    change = TagChange(tag_id=name, name=name, changed_at=datetime(2026, 1, 1, tzinfo=UTC), kind=kind, **tag)
    return Scored(0, change, confidence, judged)


def believed(candidates, policy=None, least=0.2):
    return [
        (each.tag.tag_id, each.confidence) for each in beliefs(decide(candidates, policy or Policy()), least)
    ]


def test_a_weak_belief_is_kept_with_its_confidence_behind_what_was_emitted():
    candidates = [candidate("weak", 0.3), candidate("sure", 0.9)]
    decision = decide(candidates, Policy())
    assert [each.tag.tag_id for each in decision.emitted] == ["sure"]
    assert believed(candidates) == [("sure", 0.9), ("weak", 0.3)]


def test_a_belief_that_recall_would_not_hear_is_not_kept():
    assert believed([candidate("heard", 0.2), candidate("unheard", 0.19)]) == [("heard", 0.2)]


def test_an_emitted_tag_is_kept_even_where_recall_would_not_hear_it():
    policy = Policy(kinds={"category": KindRule(min_confidence=0.05)})
    candidates = [candidate("emitted", 0.1, kind="category"), candidate("dropped", 0.1)]
    assert believed(candidates, policy) == [("emitted", 0.1)]


def test_there_is_no_belief_where_a_person_has_spoken():
    candidates = [
        candidate("rejected", 0.99, judged=False),
        candidate("half rejected", 0.4, judged=False),
        candidate("confirmed", 0.4, judged=True),
        candidate("confirmed, crowded out", 0.4, judged=True),
    ]
    assert believed(candidates, Policy(max_tags=1)) == []


@pytest.mark.parametrize(
    "tag",
    [
        {"policy": TagPolicy.MANUAL_ONLY},
        {"status": TagStatus.DEPRECATED},
        {"status": TagStatus.MERGED, "merged_into": "other"},
    ],
)
def test_there_is_no_belief_in_a_tag_that_models_may_not_propose_or_that_is_out_of_use(tag):
    assert believed([candidate("a", 0.4, **tag), candidate("b", 0.3)]) == [("b", 0.3)]


def test_a_tag_that_waits_for_a_person_is_believed_meanwhile():
    policy = Policy(min_confidence=0.8, review_confidence=0.4)
    candidates = [candidate("between", 0.5), candidate("asked for", 0.9, policy=TagPolicy.REVIEW)]
    assert decide(candidates, policy).emitted == ()
    assert believed(candidates, policy) == [("asked for", 0.9), ("between", 0.5)]


def test_a_tag_beyond_the_number_that_a_note_gets_is_believed_all_the_same():
    policy = Policy(kinds={"category": KindRule(max_tags=1)})
    candidates = [candidate("a", 0.6, kind="category"), candidate("b", 0.9, kind="category")]
    assert believed(candidates, policy) == [("b", 0.9), ("a", 0.6)]


def test_beside_the_emitted_only_the_strongest_beliefs_are_kept():
    emitted = [candidate(f"e{number}", 0.6 + number / 100) for number in range(10)]
    weak = [candidate(f"w{number:02}", 0.3 + number / 100) for number in range(MOST_UNEMITTED + 4)]
    kept = [name for name, _ in believed(weak + emitted)]
    assert kept == [
        *(f"e{number}" for number in reversed(range(10))),
        *(f"w{number:02}" for number in reversed(range(4, MOST_UNEMITTED + 4))),
    ]


@given(st.permutations([candidate(f"t{number:02}", (number % 5) / 10 + 0.15) for number in range(30)]))
def test_neither_the_order_nor_the_cut_depends_on_the_order_of_candidates(candidates):
    kept = believed(candidates)
    assert kept == sorted(kept, key=lambda each: (-each[1], each[0]))
    assert len(kept) == 6 + MOST_UNEMITTED
    assert kept == believed(sorted(candidates, key=lambda each: each.tag.tag_id))
