import pytest

from streamproc.errors import InputFileError
from streamproc.events.files import segment_from_row
from streamproc.training.handbook import Guidance, Handbook


def handbook(*rows):
    return Handbook(segment_from_row({"id": f"k{n}", **row}) for n, row in enumerate(rows))


def test_the_passages_on_the_category_guide_its_notes_only():
    book = handbook({"kind": "handbook", "text": "Trains.", "category": "travel"})
    assert book.guidance("Travel", ["tea"]).interests == ("Trains.",)
    assert book.guidance("food", ["tea"]) == Guidance()


def test_without_a_category_the_passages_on_candidates_guide():
    book = handbook(
        {"kind": "handbook", "text": "Trains.", "category": "travel", "tag_ids": ["night trains"]},
        {"kind": "handbook", "text": "Teas.", "category": "food", "tag_ids": ["tea"]},
    )
    assert book.guidance("", ["tea"]).interests == ("Teas.",)


def test_a_passage_on_no_category_and_no_tag_guides_all():
    book = handbook({"kind": "handbook", "text": "Be fine."})
    assert book.guidance("food", []).interests == book.guidance("", ["tea"]).interests == ("Be fine.",)


def test_rules_and_definitions_come_with_the_candidates_they_name():
    book = handbook(
        {"kind": "rule", "text": "Tea is no soup.", "tag_ids": ["tea", "soup"]},
        {"kind": "definition", "text": "Soup is hot.", "tag_ids": ["soup"]},
        {"kind": "definition", "text": "A word.", "tag_ids": []},
        {"kind": "rule", "text": "One format a note."},
        {"kind": "rule", "text": "Name the country.", "category": "travel"},
    )
    assert book.guidance("food", ["tea"]).rules == ("Tea is no soup.", "One format a note.")
    assert book.guidance("travel", []).rules == ("Name the country.", "One format a note.")


def test_what_names_more_of_the_candidates_comes_first_and_the_rest_is_left_out():
    rows = [{"kind": "rule", "text": f"Rule {n}.", "tag_ids": ["tea"]} for n in range(30)]
    book = handbook(*rows, {"kind": "rule", "text": "Both.", "tag_ids": ["tea", "soup"]})
    rules = book.guidance("", ["soup", "tea"]).rules
    assert rules[0] == "Both."
    assert len(rules) == 16


def test_a_broken_line_of_the_file_is_named(tmp_path):
    file = tmp_path / "knowledge.jsonl"
    file.write_text('{"id": "k", "kind": "rumour", "text": "?"}\n')
    with pytest.raises(InputFileError, match=r"knowledge\.jsonl, line 1"):
        Handbook.read(file)
