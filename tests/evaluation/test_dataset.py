import pytest

from streamproc.errors import InputFileError, UserError
from streamproc.evaluation.dataset import Rules, Split, read_dataset
from tests.evaluation.worlds import ROWS, TAGS, write_dataset, write_hobbies


def test_gold_tags_outside_the_repository_are_left_out(tmp_path):
    dataset = read_dataset(write_dataset(tmp_path / "papers_keywords"))
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


def test_what_people_rejected_is_kept_beside_what_is_right(tmp_path):
    rows = {**ROWS, "valid": [{"id": "v1", "text": "a cup of tea", "tags": ["tea"], "rejected": ["coffee"]}]}
    (note,) = read_dataset(write_dataset(tmp_path / "drinks", rows)).valid
    assert (note.gold, note.rejected) == ({"tea"}, {"coffee"})


def test_a_note_may_have_nothing_but_rejections(tmp_path):
    rows = {**ROWS, "valid": [{"id": "v1", "text": "milk", "tags": [], "rejected": ["tea"]}]}
    (note,) = read_dataset(write_dataset(tmp_path / "drinks", rows)).valid
    assert (note.gold, note.rejected) == (set(), {"tea"})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ('["x"]', "a JSON object is expected, not an array"),
        ('{"id": "x", "text": "a", "tags": "tea"}', '"tags" must be a list of names'),
        ('{"id": "x", "text": "a", "tags": [3]}', '"tags" must be a list of names'),
        ('{"text": "a", "tags": ["tea"]}', "needs its id"),
        ('{"id": "x", "text": 3, "tags": ["tea"]}', "not a Note"),
        ('{"id": "x", "tags": ["tea"]}', "title, text and images say nothing"),
        ('{"id": "x", "text": "a"}', "the note has no tag"),
        ('{"id": "x", "text": "a", "tags": []}', "the note has no tag"),
        ('{"id": "x", "text": "a", "tags": ["tee"]}', "'tee', which tags.jsonl does not know"),
        ('{"id": "x", "text": "a", "tags": ["tea"], "rejected": ["tea"]}', "both right and rejected"),
        ('{"id": "t1", "text": "a", "tags": ["tea"]}', "'t1' stands in train.jsonl, line 1, already"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_with_its_file_and_number(tmp_path, line, said):
    directory = write_dataset(tmp_path / "drinks")
    with (directory / "valid.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputFileError, match=rf"valid\.jsonl, line 3: .*{said}"):
        read_dataset(directory)


@pytest.mark.parametrize(
    ("line", "said"),
    [('{"tag": ""}', "needs its name"), ('{"tag": "tea"}', "'tea' stands in the file already")],
)
def test_a_tag_that_cannot_be_used_is_named_with_its_file_and_number(tmp_path, line, said):
    directory = write_dataset(tmp_path / "drinks")
    with (directory / "tags.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputFileError, match=rf"tags\.jsonl, line 5: .*{said}"):
        read_dataset(directory)


@pytest.mark.parametrize("name", ["train", "valid", "test", "tags"])
def test_a_missing_file_is_named(tmp_path, name):
    directory = write_dataset(tmp_path / "drinks")
    (directory / f"{name}.jsonl").unlink()
    with pytest.raises(InputFileError, match=rf"{name}\.jsonl cannot be read"):
        read_dataset(directory)


def test_a_history_without_a_single_tag_is_refused(tmp_path):
    rows = {**ROWS, "train": [{"id": "t1", "text": "milk", "rejected": ["tea"]}]}
    with pytest.raises(InputFileError, match=r"train\.jsonl: no note has a tag"):
        read_dataset(write_dataset(tmp_path / "drinks", rows))


def test_a_repository_without_tags_is_refused(tmp_path):
    with pytest.raises(InputFileError, match=r"tags\.jsonl has no tag"):
        read_dataset(write_dataset(tmp_path / "drinks", tags=[]))


def test_a_dataset_is_taken_back_to_the_day_when_few_notes_were_labelled(tmp_path):
    whole = read_dataset(write_hobbies(tmp_path / "hobbies"))
    few = whole.with_first(5, seed=1)
    assert len(few.train) == 5
    assert set(few.train) < set(whole.train)
    assert few == whole.with_first(5, seed=1) != whole.with_first(5, seed=2)
    assert (few.tags, few.valid, few.test) == (whole.tags, whole.valid, whole.test)
    assert whole.with_first(0, seed=1).train == ()
    with pytest.raises(
        UserError, match="a history of 1,000 notes was asked for, and hobbies's train has 48 with a tag"
    ):
        whole.with_first(1000, seed=1)


def test_notes_of_several_tags_are_told_without_a_history(tmp_path):
    rows = {**ROWS, "test": [{"id": "e1", "text": "both", "tags": ["tea", "coffee"]}]}
    dataset = read_dataset(write_dataset(tmp_path / "drinks", rows))
    assert not dataset.with_first(0, seed=0).single_tag


DRINKS = [
    {"tag": "tea"},
    {"tag": "chai", "status": "merged", "merged_into": "tea"},
    {"tag": "masala chai", "status": "merged", "merged_into": "chai"},
    {"tag": "coffee"},
    {"tag": "rare", "status": "deprecated"},
    {"tag": "elsewhere", "policy": "manual_only"},
]


def labelled(tmp_path, tags, rejected=(), all_tags=DRINKS):
    """A dataset whose one note of valid has these labels."""
    rows = {**ROWS, "valid": [{"id": "v", "text": "a cup", "tags": tags, "rejected": list(rejected)}]}
    return read_dataset(write_dataset(tmp_path / "drinks", rows, all_tags))


def test_tags_that_no_model_may_emit_are_neither_in_the_repository_nor_right(tmp_path):
    dataset = labelled(tmp_path, ["coffee", "rare", "elsewhere"])
    assert [tag.tag_id for tag in dataset.tags] == ["tea", "coffee"]
    assert dataset.valid[0].gold == {"coffee"}
    assert [set(each.gold) for each in dataset.test] == [{"tea"}, {"coffee"}, set()]


def test_a_merged_tag_is_right_as_the_one_that_it_became(tmp_path):
    assert labelled(tmp_path, ["masala chai", "coffee"]).valid[0].gold == {"tea", "coffee"}


@pytest.mark.parametrize(
    ("tags", "rejected", "right", "wrong"),
    [
        (["tea"], ["chai"], {"tea"}, set()),
        (["chai"], ["tea"], set(), {"tea"}),
        (["chai"], ["masala chai"], {"tea"}, set()),
        (["coffee"], ["chai", "rare"], {"coffee"}, {"tea"}),
    ],
)
def test_of_two_words_on_tags_that_became_one_the_word_on_the_tag_itself_counts(
    tmp_path, tags, rejected, right, wrong
):
    (note,) = labelled(tmp_path, tags, rejected).valid
    assert (note.gold, note.rejected) == (right, wrong)


def test_uses_of_a_merged_tag_count_for_the_one_that_it_became(tmp_path):
    train = [{"id": "t1", "text": "a", "tags": ["tea"]}, {"id": "t2", "text": "b", "tags": ["chai"]}]
    directory = write_dataset(tmp_path / "drinks", {**ROWS, "train": train}, DRINKS)
    assert [tag.tag_id for tag in read_dataset(directory, Rules(min_train_count=2)).tags] == ["tea"]


def test_a_repository_of_which_nothing_may_be_emitted_is_refused(tmp_path):
    every = [{**tag, "status": "deprecated"} for tag in TAGS]
    with pytest.raises(
        InputFileError, match=r"tags\.jsonl: every tag is deprecated or .*give some the status"
    ):
        labelled(tmp_path, ["tea"], all_tags=every)


def test_a_history_whose_tags_may_not_be_emitted_is_refused(tmp_path):
    unused = [{**tag, "policy": "manual_only"} for tag in TAGS] + [{"tag": "milk"}]
    with pytest.raises(InputFileError, match=r"train\.jsonl: no note has a tag that could be emitted"):
        labelled(tmp_path, ["tea"], all_tags=unused)


def test_a_history_in_which_no_tag_is_used_often_enough_is_refused(tmp_path):
    directory = write_dataset(tmp_path / "drinks")
    with pytest.raises(InputFileError, match=r"train\.jsonl: no tag occurs 9 times.*rules\.json"):
        read_dataset(directory, Rules(min_train_count=9))


def test_a_merge_into_a_tag_that_is_not_there_is_named_with_its_line(tmp_path):
    tags = [*TAGS, {"tag": "chai", "status": "merged", "merged_into": "cha"}]
    with pytest.raises(InputFileError, match=r"tags\.jsonl, line 5: .*'chai' cannot be merged into 'cha'"):
        labelled(tmp_path, ["tea"], all_tags=tags)
