"""What a bundle that is made from another takes from it."""

import shutil

import msgspec

from streamproc.cli.bundles import write_bundle
from streamproc.inference.bundle import Bundle, default_bundle_path

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
