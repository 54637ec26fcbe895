import numpy as np
import pytest

from streamproc.evaluation.related import measure_related, sharing_tags


def directions(*degrees):
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_notes_are_related_from_two_shared_tags_on():
    found = sharing_tags([{"a", "b", "c"}, {"a"}, set()], [{"a", "b"}, {"a"}, {"b", "c", "x"}, set()])
    assert [each.tolist() for each in found] == [[0, 2], [], []]


def test_where_notes_have_one_tag_one_shared_tag_is_enough():
    assert sharing_tags([{"a"}], [{"b"}, {"a"}], least=1)[0].tolist() == [1]


def test_recall_counts_related_notes_among_the_nearest():
    corpus = directions(0, 10, 20, 90)
    related = [np.array([1, 3]), np.array([0])]
    found = measure_related(directions(0, 90), corpus, related, k=2)
    assert found.queries == 2
    assert found.recall == pytest.approx((1 / 2 + 0) / 2)
    assert found.hit_rate == pytest.approx(0.5)


def test_what_k_places_cannot_hold_is_not_asked_of_them():
    found = measure_related(directions(0), directions(0, 5, 10, 15), [np.arange(4)], k=2)
    assert found.recall == pytest.approx(0.5)
    assert found.attainable == pytest.approx(1.0)


def test_queries_without_a_related_note_do_not_count():
    none, some = np.array([], dtype=np.int64), np.array([0])
    found = measure_related(directions(0, 0), directions(0, 90), [none, some], k=1)
    assert (found.queries, found.recall) == (1, 1.0)
    assert measure_related(directions(0), directions(0), [none]) is None


def test_more_queries_than_are_searched_at_a_time_keep_their_order():
    degrees = np.linspace(0, 350, 600)
    corpus = directions(*degrees)
    related = [np.array([place]) for place in range(600)]
    assert measure_related(corpus, corpus, related, k=1).recall == 1.0
