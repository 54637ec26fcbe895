import math

import numpy as np

from streamproc.evaluation.dataset import read_dataset
from streamproc.training.note_set import note_set, without_hashtags
from tests.evaluation.worlds import ROWS, write_dataset

TWO_TAGS = {
    "train": [
        {"id": "t1", "text": "tea with milk", "tags": ["tea", "milk"]},
        {"id": "t2", "text": "milk tea", "tags": ["tea", "milk", "rare"]},
        {"id": "t3", "text": "coffee", "tags": ["coffee"]},
    ],
    "valid": [
        {"id": "v1", "text": "chai", "tags": ["tea", "milk"]},
        {"id": "v2", "text": "espresso", "tags": ["coffee"]},
    ],
    "test": ROWS["test"],
}
TAGS = [
    {"tag": "tea", "description": "a hot drink"},
    {"tag": "milk"},
    {"tag": "coffee"},
    {"tag": "rare"},
    {"tag": "elsewhere"},
]


def read(tmp_path, rows=TWO_TAGS):
    return read_dataset(write_dataset(tmp_path / "drinks", rows, TAGS))


def test_a_hashtag_that_spells_a_tag_of_the_note_is_not_read():
    assert without_hashtags("seen #BlackHoles and #stars", ["black holes"]) == "seen  and #stars"
    assert without_hashtags("black holes", ["black holes"]) == "black holes"


def test_hashtags_leave_the_texts_of_train(tmp_path):
    rows = {**TWO_TAGS, "train": [{"id": "t1", "text": "hot #tea, #coffee later", "tags": ["tea"]}]}
    assert note_set(read(tmp_path, rows)).texts == ("hot , #coffee later",)


def test_tags_are_numbered_and_described(tmp_path):
    found = note_set(read(tmp_path))
    assert [each.tolist() for each in found.tags] == [[0, 1], [0, 1, 3], [2]]
    assert found.tag_texts[0] == "tea: a hot drink"


def test_a_tag_that_few_notes_have_is_rarer(tmp_path):
    rarity = note_set(read(tmp_path)).rarity
    np.testing.assert_allclose(
        rarity[:4], [math.log(1.5), math.log(1.5), math.log(3), math.log(3)], rtol=1e-6
    )


def test_epochs_are_compared_on_notes_of_valid_that_share_two_tags_with_train(tmp_path):
    held_out = note_set(read(tmp_path)).held_out
    assert held_out.query_texts == ("chai",)
    assert held_out.corpus[held_out.related[0]].tolist() == [0, 1]


def test_where_notes_have_one_tag_one_in_common_relates_them(tmp_path):
    rows = {
        name: [{**row, "tags": row["tags"][:1]} for row in TWO_TAGS[name]]
        for name in ("train", "valid", "test")
    }
    assert note_set(read(tmp_path, rows)).held_out.query_texts == ("chai", "espresso")


def test_with_pairs_from_people_epochs_are_compared_on_what_is_viewed_together(tmp_path):
    held_out = note_set(read(tmp_path), [("t3", "v1"), ("t1", "t2"), ("v2", "nowhere")]).held_out
    assert held_out.query_texts == ("chai",)
    assert held_out.related[0].tolist() == [2]
