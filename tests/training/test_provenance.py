import pytest

from streamproc.errors import UserError
from streamproc.evaluation.sources import SOURCES
from streamproc.inference.manifest import Training
from streamproc.training.provenance import find_sets, training_set
from tests.evaluation.worlds import write_dataset


@pytest.fixture
def training(tmp_path):
    names = ("clinc150", "drinks")
    return Training(tuple(training_set(write_dataset(tmp_path / name)) for name in names), 10, 0)


def test_the_source_of_a_public_set_is_recorded_and_that_of_another_is_not_known(training):
    public, own = training.sets
    assert (public.source, public.licence) == (SOURCES["clinc150"].source, SOURCES["clinc150"].licence)
    assert (own.name, own.source, own.licence) == ("drinks", "", "")
    assert set(own.files) == {"train.jsonl", "valid.jsonl", "tags.jsonl"}


def test_data_that_are_as_they_were_are_found_in_their_order(training, tmp_path):
    assert find_sets(training, tmp_path) == [tmp_path / "clinc150", tmp_path / "drinks"]


def test_a_changed_file_is_named_with_the_source_of_the_set(training, tmp_path):
    with (tmp_path / "clinc150" / "train.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(
        UserError, match=r"clinc150/train\.jsonl has SHA-256 .* comes from https://github\.com/clinc"
    ):
        find_sets(training, tmp_path)


def test_a_missing_file_is_named(training, tmp_path):
    (tmp_path / "drinks" / "tags.jsonl").unlink()
    with pytest.raises(UserError, match=r"drinks/tags\.jsonl cannot be read \(No such file or directory\)$"):
        find_sets(training, tmp_path)
