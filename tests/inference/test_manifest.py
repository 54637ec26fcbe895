import msgspec
import pytest

from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.manifest import Fold, Manifest, TaggerSpec

IDS = [f"note-{number}" for number in range(3000)]


def test_every_note_belongs_to_exactly_one_part():
    parts = [Fold(number, 3) for number in (1, 2, 3)]
    assert all(sum(part.holds(note_id) for part in parts) == 1 for note_id in IDS)


def test_parts_are_of_about_the_same_size():
    assert sum(map(Fold(2, 3).holds, IDS)) == pytest.approx(1000, abs=100)


def test_what_was_held_out_is_read_again():
    spec = TaggerSpec("tagger.onnx", "1", ("cosine",), ("news",), held_out=Fold(1, 2))
    assert msgspec.json.decode(msgspec.json.encode(spec), type=TaggerSpec) == spec


def test_a_manifest_that_names_no_part_was_trained_on_all_notes():
    manifest = Bundle.load(default_bundle_path()).manifest
    written = msgspec.json.decode(msgspec.json.encode(manifest))
    del written["tagger"]["held_out"]
    assert msgspec.convert(written, Manifest).tagger.held_out is None
