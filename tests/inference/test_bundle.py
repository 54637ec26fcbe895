import shutil

import msgspec
import pytest

from streamproc.errors import BundleError
from streamproc.inference.bundle import Bundle, default_bundle_path, made_whole, write_manifest
from streamproc.inference.manifest import Manifest
from streamproc.inference.onnx import load_models


def edit(path, **changes):
    file = path / "manifest.json"
    content = msgspec.json.decode(file.read_bytes())
    content.update(changes)
    file.write_bytes(msgspec.json.encode(content))


def test_the_shipped_bundle_is_whole_and_small():
    bundle = Bundle.load(default_bundle_path())
    total = sum(bundle.file(name).stat().st_size for name in bundle.manifest.files)
    assert total < 50_000_000
    assert bundle.manifest.encoder.cosine_to_float_mean > 0.99
    assert bundle.manifest.attributions


def test_every_file_of_the_shipped_bundle_is_named_in_its_manifest():
    bundle = Bundle.load(default_bundle_path())
    present = {str(file.relative_to(bundle.path)) for file in bundle.path.rglob("*") if file.is_file()}
    assert present == {"manifest.json", "MODEL_CARD.md", *bundle.manifest.files}


def test_what_is_written_is_read_again(bundle_path):
    before = Bundle.load(bundle_path).manifest
    written = write_manifest(bundle_path, before)
    assert written == before == Bundle.load(bundle_path).manifest


def test_an_altered_file_is_refused_by_name(bundle_path):
    file = bundle_path / "tagger.onnx"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match=r"tagger\.onnx has SHA-256 .* copy the bundle again"):
        Bundle.load(bundle_path)


def test_a_missing_file_is_named(bundle_path):
    (bundle_path / "calibrator.onnx").unlink()
    with pytest.raises(BundleError, match=r"calibrator\.onnx cannot be read \(No such file"):
        Bundle.load(bundle_path)


def test_a_directory_without_manifest_is_refused(tmp_path):
    with pytest.raises(BundleError, match=r"manifest\.json cannot be read .* point to a directory"):
        Bundle.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}', b"\xff"])
def test_a_malformed_manifest_is_refused(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match="is not a bundle manifest"):
        Bundle.load(tmp_path)


def test_another_format_is_refused_even_when_its_layout_differs(tmp_path):
    (tmp_path / "manifest.json").write_bytes(b'{"format": 2, "models": []}')
    with pytest.raises(BundleError, match="has format 2, this version reads format 1"):
        Bundle.load(tmp_path)


def test_a_file_outside_the_bundle_is_refused(bundle_path):
    edit(bundle_path, files={"../secret": "0" * 64})
    with pytest.raises(BundleError, match="outside the bundle"):
        Bundle.load(bundle_path)


def test_a_file_in_use_without_hash_is_refused(bundle_path):
    files = dict(Bundle.load(bundle_path).manifest.files)
    del files["tagger.onnx"]
    edit(bundle_path, files=files)
    with pytest.raises(BundleError, match=r"uses tagger\.onnx but records no hash"):
        Bundle.load(bundle_path)


def test_a_manifest_is_not_written_for_missing_files(tmp_path):
    manifest = Bundle.load(default_bundle_path()).manifest
    with pytest.raises(BundleError, match="is missing"):
        write_manifest(tmp_path, manifest)


def test_unknown_fields_of_a_later_writer_are_ignored(bundle_path):
    edit(bundle_path, added_later={"x": 1})
    assert isinstance(Bundle.load(bundle_path).manifest, Manifest)


def test_a_bundle_without_tagger_says_so(bundle_path):
    edit(bundle_path, tagger=None)
    with pytest.raises(BundleError, match="no trained tagger"):
        load_models(Bundle.load(bundle_path))


def test_a_graph_with_other_inputs_than_the_manifest_means_is_refused(bundle_path):
    manifest = Bundle.load(bundle_path).manifest
    narrower = msgspec.structs.replace(manifest.tagger, features=manifest.tagger.features[1:])
    write_manifest(bundle_path, msgspec.structs.replace(manifest, tagger=narrower))
    with pytest.raises(BundleError, match="do not belong together"):
        load_models(Bundle.load(bundle_path))


def test_a_file_that_is_no_model_is_refused(bundle_path):
    (bundle_path / "tagger.onnx").write_bytes(b"not a model")
    write_manifest(bundle_path, Bundle(bundle_path, _manifest(bundle_path)).manifest)
    with pytest.raises(BundleError, match="onnxruntime cannot load"):
        load_models(Bundle.load(bundle_path))


def _manifest(path):
    return msgspec.json.decode((path / "manifest.json").read_bytes(), type=Manifest)


def test_a_new_bundle_takes_the_old_ones_place_when_it_is_whole(tmp_path, bundle_path):
    link = tmp_path / "current"
    link.symlink_to(bundle_path)
    (bundle_path / "NOTES.md").write_text("mine")
    (bundle_path / "MODEL_CARD.md").write_text("of the old models")
    before = Bundle.load(bundle_path).manifest
    with made_whole(link) as made:
        shutil.copytree(default_bundle_path(), made, ignore=shutil.ignore_patterns("MODEL_CARD.md"))
        assert Bundle.load(link).manifest == before
    assert link.is_symlink()
    new = Bundle.load(default_bundle_path()).manifest
    assert Bundle.load(bundle_path).manifest == new
    left = {str(file.relative_to(bundle_path)) for file in bundle_path.rglob("*") if file.is_file()}
    assert left == {"manifest.json", "NOTES.md", *new.files}
    assert {each.name for each in tmp_path.iterdir()} == {"bundle", "current"}


def test_of_a_new_bundle_that_fails_nothing_is_left(tmp_path, bundle_path):
    (tmp_path / "bundle.partial").mkdir()
    (tmp_path / "bundle.partial" / "manifest.json").write_text("of a run that was killed")
    with pytest.raises(ValueError, match="no"), made_whole(bundle_path) as made:  # noqa: PT012
        made.mkdir()
        raise ValueError("no")
    assert Bundle.load(bundle_path)
    assert [each.name for each in tmp_path.iterdir()] == ["bundle"]


def test_a_run_that_was_killed_in_the_moment_of_the_exchange_is_made_good_by_the_next(tmp_path):
    for name in ("bundle.before", "bundle.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(name)
    with pytest.raises(RuntimeError), made_whole(tmp_path / "bundle"):
        raise RuntimeError
    assert (tmp_path / "bundle" / "manifest.json").read_text() == "bundle.before"
    assert [each.name for each in tmp_path.iterdir()] == ["bundle"]
