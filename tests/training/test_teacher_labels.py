import pytest

from streamproc.errors import InputFileError
from streamproc.training.teacher_labels import (
    TaughtNote,
    TeacherLabel,
    TeacherLabels,
    read_taught_notes,
    write_taught_notes,
)

ECONOMY = TaughtNote(
    note_id="n1",
    teacher="big",
    prompt="v1-abc",
    reasoning="It is about prices.",
    labels=(TeacherLabel("economy", 0.9, "prices"), TeacherLabel("sport", 0.0)),
    missing=("inflation",),
)
NOTHING_FITS = TaughtNote(note_id="n2", teacher="bigger", labels=())


def test_what_is_written_is_read_again_in_its_order(tmp_path):
    path = tmp_path / "deeper" / "labels.jsonl"
    assert write_taught_notes(path, [ECONOMY, NOTHING_FITS]) == 2
    assert read_taught_notes(path) == [ECONOMY, NOTHING_FITS]
    assert [each.name for each in path.parent.iterdir()] == ["labels.jsonl"]


def test_labels_are_found_by_note_and_tag(tmp_path):
    path = tmp_path / "labels.jsonl"
    write_taught_notes(path, [ECONOMY, NOTHING_FITS])
    labels = TeacherLabels.read(path)
    assert labels.of("n1") == {"economy": 0.9, "sport": 0.0}
    assert labels.of("n2") == {}
    assert labels.teachers == ("big", "bigger")
    assert len(labels) == 2


def test_a_note_that_the_teacher_never_saw_differs_from_one_where_nothing_fits():
    labels = TeacherLabels([NOTHING_FITS])
    assert labels.of("n2") == labels.of("n3") == {}
    assert "n2" in labels
    assert "n3" not in labels


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "line 2: not a teacher label"),
        (b'{"note_id": "n2", "labels": []}', "line 2: not a teacher label.*teacher"),
        (b'{"note_id": "n2", "teacher": "b", "labels": [{"tag_id": "t", "probability": 1.5}]}', "<= 1"),
        (b'{"note_id": "n1", "teacher": "b", "labels": []}', "line 2: note 'n1' .* line 1"),
        (
            (
                b'{"note_id": "n2", "teacher": "b", "labels": '
                b'[{"tag_id": "t", "probability": 1}, {"tag_id": "t", "probability": 0}]}'
            ),
            "line 2: tag 't' is labelled twice",
        ),
        (b'{"note_id": "\xff"}', "line 2: not a teacher label"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path, line, said):
    path = tmp_path / "labels.jsonl"
    path.write_bytes(b'{"note_id": "n1", "teacher": "b", "labels": []}\n' + line + b"\n")
    with pytest.raises(InputFileError, match=said):
        TeacherLabels.read(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputFileError, match=r"nowhere\.jsonl cannot be read: No such file"):
        TeacherLabels.read(tmp_path / "nowhere.jsonl")
