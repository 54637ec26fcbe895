import asyncio
from pathlib import Path

import numpy as np

from streamproc.inference.bundle import Bundle, default_bundle_path
from tests.inference.sentences import SENTENCES

REFERENCE = np.load(Path(__file__).parent / "models" / "reference.npy")


async def test_vectors_are_those_of_the_original_weights_up_to_quantization(encoder):
    encoded = await encoder.encode(SENTENCES)
    assert encoded.vectors.shape == REFERENCE.shape
    assert encoded.vectors.dtype == np.float32
    cosines = (encoded.vectors * REFERENCE).sum(axis=1)
    assert cosines.min() > 0.99
    assert not encoded.truncated.any()


async def test_paraphrases_are_nearer_than_strangers(encoder):
    vectors = (await encoder.encode(SENTENCES)).vectors
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3


async def test_a_vector_does_not_depend_on_batch_mates_or_their_order(encoder):
    texts = [*SENTENCES, "", "tram " * 700, "notes about baking bread " * 90]
    alone = np.concatenate([(await encoder.encode([text])).vectors for text in texts])
    order = np.random.default_rng(0).permutation(len(texts) * 5) % len(texts)
    together = (await encoder.encode([texts[i] for i in order])).vectors
    assert np.abs(together - alone[order]).max() <= 1e-6


async def test_calls_at_the_same_time_do_not_mix(encoder):
    results = await asyncio.gather(*(encoder.encode([text]) for text in SENTENCES * 4))
    expected = (await encoder.encode(SENTENCES)).vectors
    for position, result in enumerate(results):
        assert np.abs(result.vectors[0] - expected[position % len(SENTENCES)]).max() <= 1e-6


async def test_every_vector_has_length_one(encoder):
    vectors = (await encoder.encode([*SENTENCES, "", "tram " * 700])).vectors
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5


async def test_a_long_text_is_read_beyond_its_first_window(encoder):
    opening = "The council debated the tram line. " * 40
    recipe = "Whisk the egg whites until they hold soft peaks. " * 40
    vectors = (await encoder.encode([opening, recipe, opening + recipe])).vectors
    assert vectors[2] @ vectors[0] > 0.6
    assert vectors[2] @ vectors[1] > 0.6


async def test_only_text_beyond_the_last_window_is_reported_as_truncated(encoder):
    encoded = await encoder.encode(["tram", "tram " * 1016, "tram " * 1017])
    assert encoded.truncated.tolist() == [False, False, True]


async def test_no_texts_give_no_vectors(encoder):
    encoded = await encoder.encode([])
    assert encoded.vectors.shape == (0, 384)
    assert encoded.truncated.shape == (0,)


def test_the_weights_hash_is_the_manifests(encoder):
    assert encoder.weights_hash == Bundle.load(default_bundle_path()).manifest.encoder.float_sha256
    assert encoder.dimension == 384
