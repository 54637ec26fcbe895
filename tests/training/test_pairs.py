from collections import Counter

import numpy as np
import pytest

from streamproc.errors import InputFileError
from streamproc.training.pairs import CoViewed, CoViewedPairs, TagPairs, read_co_viewed


def numbers(*lists):
    return [np.array(each, dtype=np.int64) for each in lists]


def draws(pairs, note, count=300):
    random = np.random.default_rng(0)
    return Counter(pairs.partner(note, random) for _ in range(count))


def test_a_partner_shares_two_tags_where_anybody_does():
    pairs = TagPairs(numbers([0, 1], [0], [0, 1, 2], [2]), np.ones(3, dtype=np.float32))
    assert set(draws(pairs, 0)) == {2}


def test_a_note_that_shares_two_tags_with_nobody_is_paired_over_one():
    pairs = TagPairs(numbers([0, 1], [0], [1], [2]), np.ones(3, dtype=np.float32))
    assert set(draws(pairs, 0)) == {1, 2}


def test_rare_tags_in_common_make_a_pair_likelier():
    rarity = np.array([0.1, 0.1, 3.0, 3.0], dtype=np.float32)
    found = draws(TagPairs(numbers([0, 1, 2, 3], [0, 1], [2, 3]), rarity), 0)
    assert found[2] > 10 * found[1] > 0


def test_a_note_alone_with_its_tags_has_no_partner():
    pairs = TagPairs(numbers([0], [1], []), np.ones(2, dtype=np.float32))
    assert set(draws(pairs, 0, 5)) == set(draws(pairs, 2, 5)) == {None}


def test_a_tag_that_every_note_has_still_makes_pairs():
    pairs = TagPairs(numbers([0], [0]), np.zeros(1, dtype=np.float32))
    assert set(draws(pairs, 0, 5)) == {1}


def test_notes_viewed_together_are_pairs_in_both_directions():
    pairs = CoViewedPairs(
        [CoViewed("a", "b", 1), CoViewed("a", "c", 99), CoViewed("a", "x", 1)], ["a", "b", "c"]
    )
    found = draws(pairs, 0)
    assert found[2] > found[1]
    assert set(draws(pairs, 1, 5)) == {0}
    assert pairs.related(1, 0)
    assert not pairs.related(1, 2)


def test_a_note_that_nobody_viewed_with_another_has_no_partner():
    assert set(draws(CoViewedPairs([CoViewed("a", "a", 1)], ["a"]), 0, 5)) == {None}


def test_pairs_are_read_with_or_without_a_weight(jsonl_file):
    file = jsonl_file('{"a": "1", "b": "2"}\n\n{"a": "2", "b": "3", "weight": 2.5}\n')
    assert read_co_viewed(file) == [CoViewed("1", "2", 1.0), CoViewed("2", "3", 2.5)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "holds no pair"),
        ('{"a": "1", "b": "2"}\n{"a": "1"}\n', "line 2"),
        ('{"a": 1, "b": "2"}\n', "line 1"),
        ('{"a": "1", "b": "2", "weight": 0}\n', '"weight" is 0'),
        ('{"a": "1", "b": "2", "weight": true}\n', '"weight" is True'),
        ("broken\n", "line 1"),
        ("[]\n", "line 1"),
    ],
)
def test_a_line_that_is_no_pair_is_named(jsonl_file, content, words):
    with pytest.raises(InputFileError, match=words):
        read_co_viewed(jsonl_file(content))


def test_a_missing_file_of_pairs_is_named(tmp_path):
    with pytest.raises(InputFileError, match=r"pairs\.jsonl cannot be read"):
        read_co_viewed(tmp_path / "pairs.jsonl")


@pytest.fixture
def jsonl_file(tmp_path):
    def write(content):
        file = tmp_path / "pairs.jsonl"
        file.write_text(content)
        return file

    return write
