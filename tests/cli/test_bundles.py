"""What a bundle that is made from another takes from it."""

import shutil

import msgspec
import pytest

from streamproc.cli import app
from streamproc.cli.bundles import write_bundle
from streamproc.errors import BundleError
from streamproc.inference.bundle import Bundle, default_bundle_path, write_manifest
from tests.cli.small_dataset import dataset

__all__ = ["dataset"]

CARD = "MODEL_CARD.md"


def renamed(base):
    return msgspec.structs.replace(base.manifest, name="other")


def test_it_takes_the_models_but_not_the_card_which_speaks_of_the_base(tmp_path):
    base = Bundle.load(default_bundle_path())
    assert base.file(CARD).is_file()
    write_bundle(base, tmp_path / "made", renamed(base))
    made = Bundle.load(tmp_path / "made")
    assert made.manifest.name == "other"
    assert made.manifest.files == base.manifest.files
    assert not made.file(CARD).exists()
    assert base.manifest.figures
    assert made.manifest.figures == {}


def test_a_bundle_written_onto_itself_keeps_all_its_files(tmp_path):
    shutil.copytree(default_bundle_path(), tmp_path / "own")
    base = Bundle.load(tmp_path / "own")
    write_bundle(base, tmp_path / "own", renamed(base))
    assert Bundle.load(tmp_path / "own").manifest == msgspec.structs.replace(renamed(base), figures={})
    assert base.file(CARD).is_file()


def test_a_write_that_fails_leaves_the_bundle_that_was_there(tmp_path):
    for name in ("own", "base"):
        shutil.copytree(default_bundle_path(), tmp_path / name)
    own = Bundle.load(tmp_path / "own").manifest
    tokenizer = tmp_path / "base" / own.encoder.tokenizer
    tokenizer.write_bytes(tokenizer.read_bytes() + b" ")
    base = Bundle(tmp_path / "base", write_manifest(tmp_path / "base", own))
    lacking = msgspec.structs.replace(own.tagger, file="missing.onnx")
    with pytest.raises(BundleError, match=r"missing\.onnx is missing"):
        write_bundle(base, tmp_path / "own", msgspec.structs.replace(own, tagger=lacking))
    assert Bundle.load(tmp_path / "own").manifest == own
    assert {each.name for each in tmp_path.iterdir()} == {"own", "base"}


@pytest.fixture
def reads_otherwise(tmp_path, monkeypatch):
    """A bundle whose tagger was trained on evidence by another name."""
    monkeypatch.setenv("STREAMPROC_CACHE_DIR", str(tmp_path / "cache"))
    base = Bundle.load(default_bundle_path())
    features = ("similarity", *base.manifest.tagger.features[1:])
    tagger = msgspec.structs.replace(base.manifest.tagger, features=features)
    write_bundle(base, tmp_path / "other", msgspec.structs.replace(base.manifest, tagger=tagger))
    return tmp_path / "other"


@pytest.mark.parametrize(
    "command",
    [
        "eval {0} --report {1}",
        "calibrate confidence {0} -o {1}",
        "calibrate precision {0} -o {1}",
        "export triton -o {1}",
    ],
)
def test_a_tagger_that_was_trained_on_other_evidence_is_refused(
    runner, reads_otherwise, dataset, monkeypatch, command
):
    output = dataset.parent / "out"
    arguments = command.format(dataset, output).split()
    with pytest.raises(BundleError, match="trained on other evidence"):
        runner.invoke(app, [*arguments, "--bundle", str(reads_otherwise)], catch_exceptions=False)
    monkeypatch.setenv("STREAMPROC_BUNDLE", str(reads_otherwise))
    with pytest.raises(BundleError, match="trained on other evidence"):
        runner.invoke(app, arguments, catch_exceptions=False)
    assert not output.exists()


def test_such_a_bundle_is_still_one_to_fit_recall_for(runner, reads_otherwise, dataset, tmp_path):
    options = ["-o", str(tmp_path / "out"), "--bundle", str(reads_otherwise)]
    result = runner.invoke(app, ["calibrate", "recall", str(dataset), *options])
    assert result.exit_code == 0, result.exception
    assert Bundle.load(tmp_path / "out").manifest.recall.fitted_on == ("samples",)
