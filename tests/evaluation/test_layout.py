from datetime import UTC, datetime, timedelta

import pytest

from streamproc.evaluation.dataset import Split, read_dataset
from streamproc.evaluation.export import Example
from streamproc.evaluation.layout import Shares, by_date, by_id, dataset_files
from streamproc.events.note import Image, Note
from streamproc.events.tag import TagChange, TagPolicy

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TAGS = (
    TagChange(tag_id="t:tea", name="Tea", changed_at=NOW, description="a drink", synonyms=("chai",)),
    TagChange(tag_id="t:milk", name="Milk", changed_at=NOW, kind="food", policy=TagPolicy.REVIEW),
)


def example(number, created_at=None, **more):
    note = Note(note_id=f"n{number}", text=f"text {number}", created_at=created_at, **more)
    return Example(note, ("t:tea",), ("t:milk",) if number % 2 else ())


def ids(part):
    return {each.note.note_id for each in part}


def test_a_note_stays_where_it_is_when_others_come():
    few, many = ([example(number) for number in range(count)] for count in (100, 400))
    before, after = by_id(few, Shares()), by_id(many, Shares())
    for split in Split:
        assert ids(before[split]) == ids(after[split]) & ids(few)
        assert after[split]
    assert 20 < len(after[Split.TEST]) < 60


def test_by_date_the_latest_are_test_and_the_undated_train():
    dated = [example(number, NOW + timedelta(days=number)) for number in range(10)]
    parts = by_date([*reversed(dated), example(99)], Shares(valid=0.2, test=0.3))
    assert ids(parts[Split.TEST]) == {"n7", "n8", "n9"}
    assert ids(parts[Split.VALID]) == {"n5", "n6"}
    assert "n99" in ids(parts[Split.TRAIN])


def test_a_date_without_a_time_zone_is_utc():
    naive = (NOW + timedelta(days=1)).replace(tzinfo=None)
    parts = by_date(
        [example(0, NOW), example(1, naive), example(2, NOW + timedelta(days=2))], Shares(0.0, 0.34)
    )
    assert ids(parts[Split.TEST]) == {"n2"}
    parts = by_date([example(0, NOW), example(1, naive)], Shares(0.0, 0.5))
    assert ids(parts[Split.TEST]) == {"n1"}


def test_by_date_notes_without_one_are_never_test():
    parts = by_date([example(number) for number in range(10)], Shares())
    assert [len(parts[split]) for split in Split] == [10, 0, 0]


@pytest.mark.parametrize("shares", [Shares(), Shares(valid=0, test=0)])
def test_no_note_is_lost(shares):
    examples = [example(number, NOW) for number in range(50)]
    for split_by in (by_id, by_date):
        parts = split_by(examples, shares)
        assert sorted(each.note.note_id for part in parts.values() for each in part) == sorted(ids(examples))


def test_what_is_written_is_read_back_the_same(tmp_path):
    rich = example(1, NOW, title="t", category="drinks", images=(Image(url="http://x/y", ocr="menu"),))
    parts = {Split.TRAIN: [rich], Split.VALID: [example(2)], Split.TEST: [example(3)]}
    for name, lines in dataset_files(parts, TAGS):
        (tmp_path / name).write_bytes(b"".join(lines))
    dataset = read_dataset(tmp_path)
    (train,) = dataset.train
    assert train.note == rich.note
    assert (train.gold, train.rejected) == ({"t:tea"}, {"t:milk"})
    assert [note.note.note_id for note in dataset.test] == ["n3"]
    tea, milk = dataset.tags
    assert (tea.tag_id, tea.name, tea.description, tea.synonyms) == ("t:tea", "Tea", "a drink", ("chai",))
    assert (milk.kind, milk.policy) == ("food", TagPolicy.REVIEW)
