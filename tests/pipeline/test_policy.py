"""The decision policy."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from streamproc.config import KindRule, Settings
from streamproc.events.tag import TagChange, TagPolicy
from streamproc.pipeline.policy import Policy, Scored, decide


def candidate(name, confidence, *, kind="topic", policy=TagPolicy.AUTO, judged=None):
    tag = TagChange(
        tag_id=name, name=name, changed_at=datetime(2026, 1, 1, tzinfo=UTC), kind=kind, policy=policy
    )
    return Scored(0, tag, confidence, judged)


def names(scored):
    return [each.tag.tag_id for each in scored]


def test_tags_under_the_threshold_are_dropped_and_the_rest_ranked():
    decision = decide([candidate("low", 0.49), candidate("mid", 0.5), candidate("high", 0.9)], Policy())
    assert names(decision.emitted) == ["high", "mid"]


def test_no_more_than_the_maximum_are_emitted():
    decision = decide([candidate(str(i), 0.6 + i / 100) for i in range(9)], Policy(max_tags=3))
    assert names(decision.emitted) == ["8", "7", "6"]


def test_a_kind_may_have_its_own_threshold_and_number():
    policy = Policy(kinds={"category": KindRule(min_confidence=0.8, max_tags=1)})
    decision = decide(
        [
            candidate("a", 0.95, kind="category"),
            candidate("b", 0.9, kind="category"),
            candidate("c", 0.7, kind="category"),
            candidate("d", 0.6),
        ],
        policy,
    )
    assert names(decision.emitted) == ["a", "d"]


def test_a_tag_under_review_waits_for_a_person():
    decision = decide([candidate("a", 0.9, policy=TagPolicy.REVIEW)], Policy())
    assert names(decision.emitted) == []
    assert names(decision.review) == ["a"]


def test_a_person_confirms_a_tag_whatever_the_model_says():
    decision = decide([candidate("a", 0.1, policy=TagPolicy.REVIEW, judged=True)], Policy())
    assert [(each.tag.tag_id, each.confidence) for each in decision.emitted] == [("a", 1.0)]


def test_a_person_rejects_a_tag_whatever_the_model_says():
    decision = decide([candidate("a", 0.99, judged=False)], Policy(min_confidence=0))
    assert decision.emitted == ()


def test_tags_between_the_two_thresholds_wait_for_a_person_and_those_below_are_dropped():
    policy = Policy(min_confidence=0.8, review_confidence=0.4)
    decision = decide([candidate("sure", 0.9), candidate("maybe", 0.5), candidate("no", 0.39)], policy)
    assert names(decision.emitted) == ["sure"]
    assert names(decision.review) == ["maybe"]


def test_a_kind_may_have_routes_of_its_own():
    policy = Policy(kinds={"category": KindRule(min_confidence=0.9, review_confidence=0.6)})
    decision = decide(
        [
            candidate("a", 0.85, kind="category"),
            candidate("b", 0.55, kind="category"),
            candidate("c", 0.55),
            candidate("d", 0.45),
        ],
        policy,
    )
    assert names(decision.emitted) == ["c"]
    assert names(decision.review) == ["a"]


def test_a_review_threshold_above_the_other_takes_nothing_away():
    decision = decide([candidate("a", 0.6)], Policy(min_confidence=0.5, review_confidence=0.9))
    assert names(decision.emitted) == ["a"]


def test_a_person_confirms_a_tag_between_the_thresholds():
    decision = decide([candidate("a", 0.5, judged=True)], Policy(min_confidence=0.8, review_confidence=0.4))
    assert names(decision.emitted) == ["a"]


def test_the_settings_give_the_routes():
    settings = Settings(
        min_confidence=0.8, review_confidence=0.4, kinds={"category": {"review_confidence": 0.2}}
    )
    policy = Policy.of(settings)
    assert (policy.review_threshold("topic"), policy.review_threshold("category")) == (0.4, 0.2)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=8, unique=True),
    st.floats(0, 1),
    st.none() | st.floats(0, 1),
)
def test_every_tag_takes_one_route(confidences, accept, review):
    policy = Policy(min_confidence=accept, review_confidence=review, max_tags=100)
    decision = decide([candidate(str(c), c) for c in confidences], policy)
    emitted, waiting = set(names(decision.emitted)), set(names(decision.review))
    assert emitted == {str(c) for c in confidences if c >= accept}
    assert [each.confidence for each in decision.candidates] == sorted(confidences, reverse=True)
    assert waiting == {str(c) for c in confidences if review is not None and review <= c < accept}


@given(
    st.permutations(
        [candidate(name, confidence) for name, confidence in [("a", 0.7), ("b", 0.7), ("c", 0.9), ("d", 0.2)]]
    )
)
def test_the_order_of_candidates_does_not_matter(candidates):
    assert names(decide(candidates, Policy()).emitted) == ["c", "a", "b"]
