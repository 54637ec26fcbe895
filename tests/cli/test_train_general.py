"""``streamproc train general``: what is wrong is said first; with the ``train`` extra a bundle is made again."""

import importlib.util
import shutil

import msgspec
import pytest

from streamproc.cli import app
from streamproc.errors import UserError
from streamproc.inference.bundle import Bundle, default_bundle_path, write_manifest
from streamproc.inference.manifest import Fold, Training
from streamproc.training.provenance import training_set
from tests.cli.small_dataset import dataset

__all__ = ["dataset"]

WITHOUT_TORCH = any(importlib.util.find_spec(name) is None for name in ("torch", "optimum"))


@pytest.fixture
def again(runner, dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMPROC_CACHE_DIR", str(tmp_path / "cache"))

    def run(bundle, output="out"):
        options = ["--data", dataset.parent, "-o", tmp_path / output, "--bundle", bundle]
        return runner.invoke(app, ["train", "general", *map(str, options)])

    return run


def bundle_of(tmp_path, training):
    path = shutil.copytree(default_bundle_path(), tmp_path / "shipped")
    write_manifest(path, msgspec.structs.replace(Bundle.load(path).manifest, training=training))
    return path


def test_a_bundle_that_does_not_say_what_it_learnt_from_cannot_be_made_again(again, tmp_path):
    result = again(bundle_of(tmp_path, None))
    assert isinstance(result.exception, UserError)
    assert "does not say what it learnt from" in str(result.exception)


def test_other_data_are_refused_before_anything_is_made(again, dataset, tmp_path):
    bundle = bundle_of(tmp_path, Training((training_set(dataset),), 4, 0))
    (dataset / "tags.jsonl").write_text('{"tag": "tea"}\n')
    result = again(bundle)
    assert isinstance(result.exception, UserError)
    assert "samples/tags.jsonl has SHA-256" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_a_tagger_that_held_notes_out_is_not_made_again(again, dataset, tmp_path):
    bundle = bundle_of(tmp_path, Training((training_set(dataset),), 4, 0))
    manifest = Bundle.load(bundle).manifest
    tagger = msgspec.structs.replace(manifest.tagger, held_out=Fold(1, 2))
    write_manifest(bundle, msgspec.structs.replace(manifest, tagger=tagger))
    result = again(bundle)
    assert isinstance(result.exception, UserError)
    assert "held notes out" in str(result.exception)


@pytest.mark.slow
@pytest.mark.skipif(WITHOUT_TORCH, reason="the extra 'train' is not installed")
def test_another_encoder_is_refused_and_leaves_nothing(again, dataset, tmp_path):
    bundle = bundle_of(tmp_path, Training((training_set(dataset),), 4, 0))
    manifest = Bundle.load(bundle).manifest
    encoder = msgspec.structs.replace(manifest.encoder, float_sha256="0" * 64)
    write_manifest(bundle, msgspec.structs.replace(manifest, encoder=encoder))
    result = again(bundle)
    assert isinstance(result.exception, UserError)
    assert "is not all-MiniLM-L6-v2 as it is published" in str(result.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not WITHOUT_TORCH, reason="the extra 'train' is installed: nothing is missing")
def test_without_the_extra_one_sentence_says_how_to_get_it(again, dataset, tmp_path):
    result = again(bundle_of(tmp_path, Training((training_set(dataset),), 4, 0)))
    assert isinstance(result.exception, UserError)
    assert "pip install '.[train]'" in str(result.exception)


@pytest.mark.slow
@pytest.mark.skipif(WITHOUT_TORCH, reason="the extra 'train' is not installed")
def test_a_bundle_made_twice_is_the_same_to_the_byte(again, dataset, tmp_path):
    shipped = bundle_of(tmp_path, Training((training_set(dataset),), 4, 0))
    assert again(shipped, "first").exit_code == 0
    result = again(tmp_path / "first", "second")
    assert result.exit_code == 0, result.output
    assert result.stdout.count(": the same") == 4
    first, second = (Bundle.load(tmp_path / name).manifest for name in ("first", "second"))
    assert first == second
    assert first.recall == Bundle.load(shipped).manifest.recall
