import numpy as np
import pytest

from streamproc.graph.evidence import COLUMN, FEATURES, Neighbourhood, Votes, evidence
from streamproc.knowledge.lexical import LexicalIndex
from tests.graph.recalling import tag

TAGS = ["tea", "coffee"]
WORDS = LexicalIndex.build([tag(tag_id) for tag_id in TAGS]).match("Tea", "tea and tea")


def table(mass=((1.0, 0.0, 1.0), (0.0, 1.0, 0.0)), similarities=(0.8, 0.6, 0.4), **changes):
    people = Votes(np.array(similarities), np.array(mass, dtype=float))
    around = Neighbourhood(people, changes.pop("models", None), {}, {1: 0.3})
    arguments = {
        "cosines": {0: 0.5},
        "around": around,
        "words": WORDS,
        "passages": {1: 0.2},
        "likeness": None,
        "wording": None,
        "note_words": 4,
        "sharpness": 16.0,
    }
    return evidence(changes.pop("tag_ids", TAGS), **{**arguments, **changes})


def of(features, row, name):
    return float(features[row, COLUMN[name]])


def test_names_are_unique():
    assert len(set(FEATURES)) == len(FEATURES)


def test_votes_are_shares_over_the_first_neighbours():
    features = table()
    assert [of(features, 0, f"vote_{size}") for size in (1, 3, 10)] == pytest.approx([1, 2 / 3, 2 / 3])
    assert of(features, 1, "vote_1") == 0


def test_the_sharper_the_votes_the_more_the_nearest_counts():
    features = table()
    assert of(features, 0, "vote_3") < of(features, 0, "vote_soft") < of(features, 0, "vote_sharp")


def test_similarities_of_the_notes_that_carry_the_tag():
    features = table()
    assert of(features, 0, "best_neighbour") == pytest.approx(0.8)
    assert of(features, 0, "mean_neighbour") == pytest.approx(0.6)
    assert of(features, 1, "best_neighbour") == pytest.approx(0.6)


def test_a_note_whose_word_weighs_less_weighs_less_in_the_whole_too():
    features = table(((1.0, 0.0), (0.0, 0.25)), (0.5, 0.5))
    assert of(features, 0, "vote_10") == pytest.approx(0.8)


def test_models_are_tallied_apart():
    models = Votes(np.array([0.8]), np.array([[0.0], [0.6]]))
    features = table(similarities=(0.8, 0.8, 0.8), models=models)
    assert of(features, 1, "vote_model") == pytest.approx(0.6 / 4)
    assert of(features, 0, "vote_model") == 0
    others = [column for name, column in COLUMN.items() if name != "vote_model"]
    np.testing.assert_array_equal(features[:, others], table(similarities=(0.8, 0.8, 0.8))[:, others])


def test_models_are_heard_where_people_said_nothing():
    features = table(np.zeros((2, 0)), (), models=Votes(np.array([0.4]), np.array([[0.9], [0.0]])))
    assert of(features, 0, "vote_model") == pytest.approx(0.9)
    assert of(features, 0, "voters") == 0


def test_what_is_missing_is_zero():
    features = table()
    assert (of(features, 1, "cosine"), of(features, 1, "cosine_known")) == (0, 0)
    assert (of(features, 0, "cosine"), of(features, 0, "cosine_known")) == (0.5, 1)
    assert (of(features, 0, "judged_against"), of(features, 0, "passage")) == (0, 0)
    assert of(features, 1, "judged_against") == pytest.approx(0.3)


def test_words_of_the_note():
    features = table()
    assert of(features, 0, "exact_title") == 1
    assert of(features, 0, "exact_text") == pytest.approx(np.log(3))
    assert of(features, 0, "name_share") == 1
    assert of(features, 1, "bm25") == 0


def test_without_neighbours_only_the_rest_is_known():
    features = table(np.zeros((2, 0)), ())
    assert not features[:, COLUMN["vote_1"] : COLUMN["vote_model"] + 1].any()
    assert of(features, 0, "cosine") == 0.5


def test_no_tags_no_rows():
    around = Neighbourhood(Votes(np.zeros(0), np.zeros((0, 0))), None, {}, {})
    empty = evidence(
        [],
        cosines={},
        around=around,
        words=WORDS,
        passages={},
        likeness=None,
        wording=None,
        note_words=3,
        sharpness=1.0,
    )
    assert empty.shape == (0, len(FEATURES))


def test_a_cosine_counts_by_how_it_stands_among_the_nearest_tags():
    features = table(cosines={0: 0.5, 1: 0.4})
    assert of(features, 0, "cosine_gap") == 0
    assert of(features, 1, "cosine_gap") == pytest.approx(-0.1)
    soft, sharp = ([of(features, row, f"cosine_{how}") for row in (0, 1)] for how in ("soft", "sharp"))
    assert sum(soft) == pytest.approx(1) == sum(sharp)
    assert 0.5 < soft[0] < sharp[0] < 1
    assert soft[1] / soft[0] == pytest.approx(np.exp(-0.8))


def test_a_tag_that_is_not_near_stands_behind_the_furthest_that_is():
    three = table(np.zeros((3, 0)), (), tag_ids=[*TAGS, "milk"], cosines={0: 0.5, 1: 0.4})
    assert of(three, 2, "cosine_gap") == pytest.approx(-0.1)
    assert of(three, 2, "cosine_soft") == of(three, 2, "cosine_sharp") == 0


def test_without_near_tags_nothing_stands_out():
    features = table(cosines={})
    assert not features[:, [COLUMN[f"cosine_{how}"] for how in ("gap", "soft", "sharp")]].any()
