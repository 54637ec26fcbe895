import pytest

from streamproc.evaluation.figures import buckets, confidence, emission, history_counts, ranking

GOLD = [frozenset({"a", "b"}), frozenset({"c"})]


def test_a_method_lies_behind_by_what_the_set_is_judged_by():
    best, other = [["a", "b"], ["c"]], [["b", "a"], ["x", "c"]]
    multi = ranking("other", other, GOLD, single_tag=False, best=best)
    single = ranking("other", other, GOLD, single_tag=True, best=best)
    assert single.behind.mean == 0.5
    assert multi.behind.mean == pytest.approx(1 - multi.ndcg_5)
    assert ranking("best", best, GOLD, single_tag=True).behind is None


def test_a_first_tag_that_is_not_emitted_lowers_recall_alone():
    told = emission("m", [["a"], []], GOLD)
    assert (told.first_precision, told.first_recall) == (1, 0.5)
    assert told.first_f1 == pytest.approx(2 / 3)
    assert (told.precision, told.recall) == (1, pytest.approx(1 / 3))


def test_confidences_that_are_all_too_high_have_an_excess_error(scored):
    sure = [each * 0 + 0.9 for each in scored.confidences]
    told = confidence("sure", scored, sure)
    assert told.emitted == sum(map(len, sure))
    assert told.excess > 0.5
    assert told.ece.mean - told.noise.mean == pytest.approx(told.excess)
    assert told.brier_skill < 0


def test_nothing_emitted_is_no_error(scored):
    told = confidence("silent", scored, [each * 0 + 0.1 for each in scored.confidences])
    assert (told.emitted, told.ece.mean, told.coverage_1, told.reliability) == (0, 0, 0, ())


def test_every_tag_stands_in_the_bucket_of_its_count(scored):
    tags = ["baking", "cycling", "chess", "sailing", "knitting", "gardening", "unused"]
    counts = {"baking": 0, "cycling": 3, "chess": 5, "sailing": 19, "knitting": 99, "gardening": 100}
    rows = buckets(scored, tags, counts)
    assert [(row.least, row.most, row.tags, row.gold) for row in rows] == [
        (0, 0, 2, 4),
        (1, 4, 1, 4),
        (5, 19, 2, 8),
        (20, 99, 1, 4),
        (100, None, 1, 4),
    ]
    assert all(row.recalled == row.first_5 == 1 for row in rows)
    assert [row.name for row in rows][::4] == ["never seen", "100 times and more"]


def test_counts_are_those_of_the_history(hobbies):
    assert set(history_counts(hobbies.dataset).values()) == {8}
