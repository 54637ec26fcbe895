import msgspec
import pytest

from streamproc.errors import UserError
from streamproc.evaluation.dataset import read_dataset
from streamproc.training.encoder_data import encoder_data
from streamproc.training.pairs import CoViewed, CoViewedPairs, TagPairs
from streamproc.training.recipe import Recipe
from tests.evaluation.worlds import ROWS, write_dataset

RECIPE = Recipe()


def read(tmp_path, **rows):
    return read_dataset(write_dataset(tmp_path / "drinks", {**ROWS, **rows}))


def test_pairs_are_notes_that_share_tags_unless_a_file_tells_them(tmp_path):
    dataset = read(tmp_path)
    assert isinstance(encoder_data([dataset], RECIPE).pairs[0], TagPairs)
    assert isinstance(encoder_data([dataset], RECIPE, [CoViewed("t1", "t2", 1)]).pairs[0], CoViewedPairs)


def test_a_set_without_a_shared_tag_is_named(tmp_path):
    dataset = read(tmp_path, train=[ROWS["train"][0], ROWS["train"][1]])
    with pytest.raises(UserError, match=r"no two notes of drinks's train\.jsonl share a tag"):
        encoder_data([dataset], RECIPE)


def test_pairs_of_unknown_notes_are_not_passed_over_in_silence(tmp_path):
    with pytest.raises(UserError, match="none of the pairs joins two notes of drinks"):
        encoder_data([read(tmp_path)], RECIPE, [CoViewed("t1", "nobody", 1)])


def test_other_data_pairs_numbers_or_weights_are_another_run(tmp_path):
    data = encoder_data([read(tmp_path)], RECIPE)
    again = encoder_data([read(tmp_path)], RECIPE)
    run = data.fingerprint(RECIPE, "weights")
    assert run == again.fingerprint(RECIPE, "weights")
    assert run != data.fingerprint(RECIPE, "others")
    assert run != data.fingerprint(msgspec.structs.replace(RECIPE, alpha=0.5), "weights")
    viewed = encoder_data([read(tmp_path)], RECIPE, [CoViewed("t1", "t2", 1)])
    assert run != viewed.fingerprint(RECIPE, "weights")
    fewer = encoder_data([read(tmp_path, train=ROWS["train"][:3])], RECIPE)
    assert run != fewer.fingerprint(RECIPE, "weights")
