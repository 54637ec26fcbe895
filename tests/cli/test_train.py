"""streamproc train tagger: from a dataset to a bundle; needs the ``train`` extra."""

from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from streamproc.cli import app
from streamproc.cli.bundles import write_bundle
from streamproc.errors import UserError
from streamproc.graph.evidence import FEATURES
from streamproc.inference.bundle import Bundle, default_bundle_path
from tests.cli.small_dataset import dataset  # noqa: F401 - a fixture

pytest.importorskip("torch", reason="the extra 'train' is not installed")
pytest.importorskip("onnx", reason="the extra 'train' is not installed")


def trained(dataset: Path, output: Path, *options: str) -> Bundle:  # noqa: F811
    command = ["train", "tagger", str(dataset), "-o", str(output), *options]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    return Bundle.load(output)


def models_in(bundle: Bundle) -> set[str]:
    return {path.relative_to(bundle.path).as_posix() for path in bundle.path.rglob("*.onnx")}


READS = ("--read-text", "--epochs", "1")


@pytest.mark.slow
def test_only_the_tagger_that_was_trained_last_is_in_the_bundle(dataset, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("STREAMPROC_CACHE_DIR", str(tmp_path / "cache"))
    others = {"encoder/model.onnx", "calibrator/model.onnx"}
    reader = trained(dataset, tmp_path / "bundle", *READS, "--version", "reads")
    assert reader.manifest.tagger.version == "reads"
    assert reader.manifest.tagger.text is not None
    assert models_in(reader) == {"tagger.onnx", *others}
    assert not (reader.path / "tagger").exists()
    weigher = trained(dataset, tmp_path / "bundle", "--evidence-only")
    assert weigher.manifest.tagger.text is None
    assert models_in(weigher) == {"tagger/model.onnx", *others}


@pytest.mark.slow
def test_a_tagger_of_fewer_layers_is_that_much_smaller(dataset, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("STREAMPROC_CACHE_DIR", str(tmp_path / "cache"))
    one, two = (
        trained(dataset, tmp_path / layers, *READS, "--layers", layers).path / "tagger.onnx"
        for layers in ("1", "2")
    )
    assert 1.7e6 < two.stat().st_size - one.stat().st_size < 1.9e6  # 12 · 384² weights a layer, a byte each


@pytest.mark.parametrize("option", ["--epochs", "--layers"])
def test_what_is_said_of_a_tagger_that_reads_is_refused_where_it_does_not(dataset, tmp_path, option):  # noqa: F811
    command = ["train", "tagger", str(dataset), "-o", str(tmp_path / "bundle"), option, "3"]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, UserError)
    assert f"{option} is of a tagger that reads the text: add --read-text" in str(result.exception)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("part", ["half", "3/2", "0/2", "1/1", "1"])
def test_a_part_that_is_none_is_one_sentence(dataset, tmp_path, part):  # noqa: F811
    command = ["train", "tagger", str(dataset), "-o", str(tmp_path / "bundle"), "--hold-out", part]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, UserError)
    assert f"--hold-out is {part!r}: give a part of the notes such as 1/2" in str(result.exception)
    assert not (tmp_path / "bundle").exists()


def test_a_dataset_without_valid_notes_is_one_sentence_and_nothing_is_written(dataset, tmp_path):  # noqa: F811
    (dataset / "valid.jsonl").write_text("")
    result = CliRunner().invoke(app, ["train", "tagger", str(dataset), "-o", str(tmp_path / "bundle")])
    assert isinstance(result.exception, UserError)
    assert "valid.jsonl of samples has no note with a tag" in str(result.exception)
    assert [each.name for each in tmp_path.iterdir()] == ["samples"]


def test_a_place_that_cannot_be_written_is_refused_before_the_work(dataset, tmp_path):  # noqa: F811
    command = ["train", "tagger", str(dataset), "-o", str(dataset / "tags.jsonl" / "bundle")]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, UserError)
    assert "cannot be written: Not a directory" in str(result.exception)
    assert "reading" not in result.output


def test_a_base_whose_tagger_was_trained_on_other_evidence_gets_one_that_reads_this(
    dataset,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    monkeypatch.setenv("STREAMPROC_CACHE_DIR", str(tmp_path / "cache"))
    base = Bundle.load(default_bundle_path())
    other = msgspec.structs.replace(base.manifest.tagger, features=("similarity", *FEATURES[1:]))
    write_bundle(base, tmp_path / "base", msgspec.structs.replace(base.manifest, tagger=other))
    made = trained(dataset, tmp_path / "made", "--bundle", str(tmp_path / "base"))
    assert made.manifest.tagger.features == FEATURES


def test_a_bundle_is_named_after_its_directory_or_as_told_and_not_after_its_base(
    dataset,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    monkeypatch.setenv("STREAMPROC_CACHE_DIR", str(tmp_path / "cache"))
    manifest = trained(dataset, tmp_path / "news").manifest
    assert (manifest.name, manifest.version, manifest.tagger.version) == ("news", "1", "1")
    manifest = trained(dataset, tmp_path / "news", "--name", "other", "--version", "7").manifest
    assert (manifest.name, manifest.version, manifest.tagger.version) == ("other", "7", "7")


@pytest.mark.parametrize("version", ["", " "])
def test_a_version_without_a_name_is_refused(dataset, tmp_path, version):  # noqa: F811
    command = ["train", "tagger", str(dataset), "-o", str(tmp_path / "bundle"), "--version", version]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, UserError)
    assert f"--version is {version!r}" in str(result.exception)
