import pytest

from streamproc.errors import InputFileError
from streamproc.evaluation.dataset import Rules, Split, read_dataset
from tests.evaluation.worlds import ROWS, write_dataset


def test_gold_tags_outside_the_repository_are_left_out(tmp_path):
    dataset = read_dataset(write_dataset(tmp_path / "drinks"))
    assert [set(each.gold) for each in dataset.test] == [{"tea"}, {"coffee"}, set()]


def test_category_is_hidden_unless_it_is_known_to_be_harmless(tmp_path):
    directory = write_dataset(tmp_path / "drinks")
    assert {each.note.category for each in read_dataset(directory).train} == {""}
    assert "tea" in {each.note.category for each in read_dataset(directory, Rules(category=True)).train}


def test_labels_are_never_part_of_the_note(tmp_path):
    assert {each.note.tags for each in read_dataset(write_dataset(tmp_path / "drinks")).train} == {()}


def test_free_keywords_enter_the_repository_from_their_second_use_on(tmp_path):
    dataset = read_dataset(write_dataset(tmp_path / "papers_keywords"))
    assert [tag.tag_id for tag in dataset.tags] == ["tea", "coffee"]
    assert dataset.single_tag


def test_splits_keep_the_order_of_their_file(tmp_path):
    dataset = read_dataset(write_dataset(tmp_path / "drinks"))
    assert [each.note.note_id for each in dataset.split(Split.VALID)] == ["v1", "v2"]
    assert dataset.train[0].moment == "2020-01-01"


@pytest.mark.parametrize(
    ("line", "said"),
    [("{", "not JSON"), ('{"id": "x", "tags": "tea"}', "list of names"), ('{"text": 3}', "Note")],
)
def test_a_broken_line_is_named_with_its_file_and_number(tmp_path, line, said):
    directory = write_dataset(tmp_path / "drinks")
    with (directory / "valid.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputFileError, match=rf"valid\.jsonl, line 3: .*{said}"):
        read_dataset(directory)


def test_a_missing_file_is_named(tmp_path):
    directory = write_dataset(
        tmp_path / "drinks", {name: rows for name, rows in ROWS.items() if name != "test"}
    )
    with pytest.raises(InputFileError, match=r"test\.jsonl cannot be read"):
        read_dataset(directory)
