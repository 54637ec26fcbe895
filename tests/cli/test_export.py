"""``streamproc export``."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamproc.cli.export import app
from streamproc.errors import BundleError, InputFileError


def test_the_model_repository_is_written_and_its_files_are_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["triton", "-o", str(tmp_path)])
    assert result.exit_code == 0
    written = {str(file) for file in tmp_path.rglob("*") if file.is_file()}
    assert set(result.stdout.replace("\n", " ").split()) == written
    assert str(tmp_path / "encoder/config.pbtxt") in written


def test_a_directory_without_a_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json cannot be read"):
        CliRunner().invoke(
            app,
            ["triton", "-o", str(tmp_path / "models"), "--bundle", str(tmp_path)],
            catch_exceptions=False,
        )


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputFileError, match=r"file/models/.* cannot be written: Not a directory"):
        CliRunner().invoke(app, ["triton", "-o", str(tmp_path / "file" / "models")], catch_exceptions=False)
